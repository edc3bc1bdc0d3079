"""Many photos: which ones, over how many processes, and going on after an interruption."""

from photoguard.batch import cluster
from photoguard.batch.journal import NAME as JOURNAL
from photoguard.batch.journal import Journal, Skipped
from photoguard.batch.plan import Selection, Task, no_photos, plan, plan_restoring
from photoguard.batch.pool import Outcome, Pool, run
from photoguard.batch.resume import resumed, tidy

__all__ = [
    "JOURNAL", "Journal", "Outcome", "Pool", "Selection", "Skipped", "Task",
    "cluster", "no_photos", "plan", "plan_restoring", "resumed", "run", "tidy",
]  # fmt: skip
