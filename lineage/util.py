"""Small things scripts take from `wandb.util`: a front door."""

from lineage.actions.start import new_run_id
from lineage.model.names import slug

generate_id = new_run_id
make_artifact_name_safe = slug

__all__ = ["generate_id", "make_artifact_name_safe"]
