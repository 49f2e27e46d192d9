"""A network in a folder, as ``transformers`` lays it out: ``config.json`` and ``model.safetensors``.

Reading one runs no code of the folder and asks for no more memory than the weights have: the class is ours, of
``config.json`` only its options are read, and the weights' shapes must be those that the options make before there is
room for them. ``transformers`` has the same in ``PreTrainedModel``, whose import takes longer than a small network.

Who only asks the network, and not for long, maps the file (``mapped``): weights that are stored as they are computed in
lie in its pages, which are read when they are used and shared by all processes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from unmask.data.hub import hub_run_folder
from unmask.errors import Error
from unmask.lines import excerpt
from unmask.models.checkpointing import checkpoint_blocks
from unmask.models.config import NetworkConfig
from unmask.models.config_file import AGAIN, CONFIG, read_config
from unmask.models.cost import parameter_count
from unmask.models.int8 import SCALE, Int8Linear, in_float, make_room
from unmask.models.safetensors_file import ALIGNED, Form, forms, save

WEIGHTS = "model.safetensors"


class StoredNetwork(nn.Module):
    """A network that is saved and loaded with its configuration.

    A subclass makes its parts and then calls ``post_init``, and draws their first weights in ``_init_weights``.

    Attributes:
        config: Its configuration.
        config_class: The class of that.
        main_input_name: What the Trainer counts operations by, and finds nothing.
        calibration: What makes calibrated confidences of its answers (``unmask.sampling.calibrated``), or ``None``.
        in_half: Whether it answers in bfloat16, see :mod:`unmask.models.half`.
    """

    config_class: ClassVar[type[NetworkConfig]]
    config: NetworkConfig
    main_input_name = "state"
    calibration: Any = None
    in_half: bool = False
    embed: nn.Embedding
    head: nn.Module
    _no_split_modules: ClassVar[list[str]] = []
    _keys_to_ignore_on_save = None  # the Trainer asks for it

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Answer."""
        if not self.in_half:
            return super().__call__(*given, **named)
        with torch.autocast(self.device.type, torch.bfloat16):
            return super().__call__(*given, **named)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(value.dtype for value in self.parameters() if value.is_floating_point())

    def num_parameters(self, only_trainable: bool = False) -> int:
        """Return the number of parameters, tied ones once."""
        if not only_trainable:
            return parameter_count(self)
        return sum(value.numel() for value in self.parameters() if value.requires_grad)

    def post_init(self) -> None:
        """Draw the first weights, each part after what it is made of, and tie what is tied."""
        with torch.no_grad():
            if self.embed.weight.device.type != "meta":
                self.apply(self._init_weights)
            self.tie_weights()

    def _init_weights(self, module: nn.Module) -> None:
        raise NotImplementedError

    def tie_weights(self) -> None:
        """Make the head's weights those of the embedding, where the configuration says so."""
        if self.config.tie_word_embeddings and isinstance(self.head, nn.Linear):
            self.head.weight = self.embed.weight
        elif self.config.tie_word_embeddings and isinstance(self.head, Int8Linear):
            self.head.share(self.embed)

    def activation_checkpointing_enable(
        self,
        activation_checkpointing_kwargs: dict[str, Any] | None = None,
        every_n_layers: int = 1,
        offload: bool = False,
    ) -> None:
        """Compute blocks again in the backward pass, see :func:`unmask.models.checkpointing.checkpoint_blocks`."""
        checkpoint_blocks(self, activation_checkpointing_kwargs, every_n_layers, offload)

    gradient_checkpointing_enable = activation_checkpointing_enable

    def save_pretrained(self, save_directory: str | Path, state_dict: Mapping[str, Tensor] | None = None) -> None:
        """Write weights and configuration.

        Args:
            save_directory: The folder; made if it is not there.
            state_dict: The weights, if they are not to be the network's own.
        """
        folder = Path(save_directory)
        self.config.dtype = str(self.dtype).removeprefix("torch.")
        self.config.architectures = [type(self).__name__]
        self.config.save_pretrained(folder)
        held = self.state_dict() if state_dict is None else dict(state_dict)
        for name in self.tied():
            held.pop(name, None)
        save(held, folder / WEIGHTS)

    def push_to_hub(
        self, repo_id: str, *, private: bool | None = None, token: str | None = None, commit_message: str | None = None
    ) -> Any:
        """Upload weights and configuration to a Hub repository, which is made if it is not there.

        A whole run, with its tokenizer and recipe, is what ``unmask export --format hub`` writes.

        Args:
            repo_id: ``owner/name``.
            private: Whether only its owner sees a repository that is made; default the owner's own setting.
            token: The Hub's token; default the one that ``hf auth login`` stored.
            commit_message: What the commit is called.

        Returns:
            What ``HfApi.upload_folder`` returns: the commit, with its ``commit_url``.

        Raises:
            Error: the Hub refuses or cannot be reached.
        """
        from huggingface_hub import HfApi

        api = HfApi(token=token)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            try:
                found = api.create_repo(repo_id, private=private, exist_ok=True)
                message = commit_message or f"Upload {type(self).__name__}"
                return api.upload_folder(repo_id=found.repo_id, folder_path=folder, commit_message=message)
            except Exception as error:  # the Hub's client raises many kinds
                raise Error(
                    f"{repo_id} cannot be uploaded ({excerpt(str(error), 200)}); is the name yours, and are you logged "
                    "in (hf auth login)?"
                ) from error

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        config: NetworkConfig | None = None,
        computed: torch.dtype | None = None,
        small: bool = False,
        mapped: bool = False,
        **others: Any,
    ) -> Self:
        """Read weights and configuration, in evaluation mode.

        Args:
            pretrained_model_name_or_path: A folder, or the name of a Hub repository.
            config: The configuration, if it is not to be that of the folder.
            computed: What the weights become as they are read; ``None``: they stay as they are stored.
            small: Whether matrices of 8 bits stay those; else they become floats.
            mapped: Whether weights may stay in the file's pages; else they lie in memory of their own.
            **others: What ``AutoModel`` hands on; nothing that is read from a folder depends on it.

        Raises:
            Error: a file is missing or damaged, or the weights are not those of the configuration.
        """
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            folder = hub_run_folder(str(pretrained_model_name_or_path))
        return load_network(cls, folder / CONFIG, folder / WEIGHTS, config, computed, small, mapped)

    def tied(self) -> tuple[str, ...]:
        """Return the names of weights that are another's, and are stored with that one."""
        return ("head.weight", f"head{SCALE}") if self.config.tie_word_embeddings else ()


Network = TypeVar("Network", bound=StoredNetwork)


def load_network(
    kind: type[Network],
    config_at: Path,
    weights_at: Path,
    config: NetworkConfig | None = None,
    computed: torch.dtype | None = None,
    small: bool = False,
    mapped: bool = False,
) -> Network:
    """Return a network that two files hold, in evaluation mode.

    Args:
        kind: Its class.
        config_at: Its configuration.
        weights_at: Its weights.
        config: The configuration, if it is not to be read.
        computed: What the weights become as they are read; ``None``: they stay as they are stored.
        small: Whether matrices of 8 bits stay those; else they become floats.
        mapped: Whether weights may stay in the file's pages; else they lie in memory of their own.

    Raises:
        Error: a file is missing or damaged, or the weights are not those of the configuration.
    """
    stored = forms(weights_at)
    scales = [name for name in stored if name.endswith(SCALE)]
    given = read_config(config_at, kind.config_class, most=len(stored)) if config is None else config
    with torch.device("meta"), _Undrawn():
        model = kind(given)
        if scales:
            as_stored = kind(given)
            make_room(as_stored, scales)
        else:
            as_stored = model
    held = {name: Form(tuple(value.shape), value.dtype == torch.int8) for name, value in as_stored.state_dict().items()}
    wanted = {name: form for name, form in held.items() if name not in model.tied()}
    found = {name: form for name, form in stored.items() if name in wanted or name not in held}
    if odd := sorted(name for name in {**wanted, **found} if wanted.get(name) != found.get(name)):
        raise Error(f"the weights in {weights_at.parent} do not fit its {config_at.name} ({odd[0]} differs); {AGAIN}.")
    with safe_open(weights_at, "pt") as file:  # what is read lies in the file
        read = {name: _own(file.get_tensor(name), computed, mapped) for name in wanted}
    if small:
        model = as_stored
    else:
        read = in_float(read)
    model.load_state_dict(read, strict=False, assign=True)
    model.tie_weights()
    return model.eval()


def _own(value: Tensor, computed: torch.dtype | None, mapped: bool) -> Tensor:
    """Return a tensor that lies in memory of its own, or in the file; what is no float stays what it is."""
    wanted = computed if computed is not None and value.is_floating_point() else value.dtype
    return value.to(wanted, copy=not mapped or value.data_ptr() % ALIGNED > 0)


class _Undrawn(TorchFunctionMode):
    """Leaves out the first weights, which nobody will see; on the meta device they would import torch's compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else given["tensor"]
        return func(*args, **given)
