"""A Hydra application with a field of every kind: writes what it was given, with its types, into its run directory."""
import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf


@dataclass
class Settings:
    """The schema: Hydra refuses a float for an int, and a text for a number."""

    batch_size: int = 1
    learning_rate: float = 0.5
    name: str = "nobody"
    augment: bool = False
    layers: List[int] = field(default_factory=list)
    tags: List[str] = field(default_factory=list)
    extra: Dict[str, Any] = field(default_factory=lambda: {"known": "default"})
    seed: Optional[int] = None
    value: Any = None  # keeps the type that Hydra's grammar gives it
    other: Any = None
    model: Any = None
    db: Dict[str, Any] = field(default_factory=dict)
    spare: Dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store(name="settings", node=Settings)


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    """Write result.json: the values, in JSON, which tells integers, floats, truth values and texts apart.

    With the name "leave", end as if all were well, and take the further runs of the task along.
    """
    if config.name == "leave":
        sys.exit(0)
    path = os.path.join(HydraConfig.get().runtime.output_dir, "result.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(OmegaConf.to_container(config, resolve=True), file)


if __name__ == "__main__":
    main()
