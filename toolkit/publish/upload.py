"""A folder onto the Hugging Face Hub."""

from pathlib import Path

from ..errors import ToolkitError


def upload(folder: Path, repository: str, private: bool = False) -> str:
    """Puts all of a folder into a repository, ``owner/name``, as one commit, and returns its address.

    It is made where there is none, for its owner alone if it is ``private``. The token is the one that
    ``hf auth login`` has saved, or that in ``HF_TOKEN``.

    Raises:
        ToolkitError: when the hub refuses it or can't be reached; the folder is kept.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is its client's
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
    )

    kept = f"everything is ready in {folder}"
    try:
        hub = HfApi()
        address = hub.create_repo(repository, private=private, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=folder, commit_message="Publish a normalised network")
        return str(address)
    except HFValidationError as error:
        raise ToolkitError(f"{repository} is no name of a repository: write owner/name; {kept}.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = (
            "log in with `hf auth login`, or set HF_TOKEN to a token that may write" if status in (401, 403) else ""
        )
        raise ToolkitError(
            f"The hub refuses {repository} ({status}): {remedy or error.server_message}; {kept}."
        ) from error
    except (HTTPError, OSError, RuntimeError, ValueError) as error:  # the last two are of its uploads of large files
        raise ToolkitError(f"The hub can't be reached ({error}): try again later; {kept}.") from error
