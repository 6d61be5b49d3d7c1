# Front-end packages are fetched in a stage of their own; the image carries no node and runs as nobody in particular.
FROM node:22-slim AS front
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev

FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt
COPY --from=front /app/node_modules ./node_modules
COPY manage.py pyproject.toml ./
COPY dashboard ./dashboard
COPY billing ./billing
COPY simulator ./simulator
COPY templates ./templates
COPY static ./static
# Only settings that collectstatic needs to load; nothing of them stays in the image.
RUN SECRET_KEY=build FIELD_ENCRYPTION_KEYS=build:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    DATABASE_URL=postgres:///build REDIS_URL=unix:///build \
    python manage.py collectstatic --no-input --skip-checks \
    && rm -rf node_modules \
    && useradd --system --uid 10001 desk && install -d -o desk /data
USER desk
EXPOSE 8000
