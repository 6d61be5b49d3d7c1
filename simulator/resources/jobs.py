"""Every route of jobs and of what they read and write, in the order in which paths are tried."""

from simulator.resources import (
    batches,
    evaluations,
    file_uploads,
    files,
    fine_tune_offers,
    fine_tune_reading,
    fine_tunes,
    jobs_admin,
)

ROUTES = [
    *file_uploads.ROUTES,
    *files.ROUTES,
    *fine_tune_offers.ROUTES,  # before fine_tunes: its path would take "models" for an id
    *fine_tune_reading.ROUTES,
    *fine_tunes.ROUTES,
    *batches.ROUTES,
    *evaluations.ROUTES,
    *jobs_admin.ROUTES,
]
