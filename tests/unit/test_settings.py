"""Settings: from the environment, and secrets from files."""

from pathlib import Path

import pytest

from app.settings import SecretsError, UnknownSettingError, read_settings
from tests.integration.running import imdlens


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMDLENS_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_a_secret_is_read_from_a_file_as_docker_kubernetes_and_systemd_hand_it_over(folder: Path) -> None:
    (folder / "..data").mkdir()  # as Kubernetes does, so that all files change at once
    (folder / "..data" / "imdlens_secret").write_text("invented-and-long-enough\n")
    (folder / "imdlens_secret").symlink_to("..data/imdlens_secret")
    (folder / "postgres_password").write_text("somebody else's")
    secret = read_settings().secret
    assert secret is not None
    assert secret.get_secret_value() == "invented-and-long-enough"


def test_a_secret_in_both_places_stops_the_start_and_shows_neither(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "imdlens_secret").write_text("invented-and-long-enough")
    monkeypatch.setenv("IMDLENS_SECRET", "another-one-and-long-enough")
    with pytest.raises(SecretsError, match=r"^IMDLENS_SECRET is set twice") as caught:
        read_settings()
    assert "long-enough" not in str(caught.value)


def test_a_misspelt_file_is_noticed_as_a_misspelt_variable_is(folder: Path) -> None:
    (folder / "imdlens_secrets").write_text("invented-and-long-enough")
    with pytest.raises(UnknownSettingError, match="IMDLENS_SECRETS"):
        read_settings()


def test_a_folder_of_secrets_that_is_not_there_stops_the_start_in_a_sentence(tmp_path: Path) -> None:
    refused = imdlens("keys", "list", cwd=tmp_path, IMDLENS_SECRETS_DIR="nowhere")
    assert refused.returncode == 1
    assert "IMDLENS_SECRETS_DIR: nowhere: No such file or directory." in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_value_of_a_file_that_cannot_be_used_is_named_and_not_shown(folder: Path) -> None:
    (folder / "imdlens_secret").write_text("too-short")
    refused = imdlens("keys", "list", cwd=folder, IMDLENS_SECRETS_DIR=str(folder))
    assert refused.returncode == 1
    assert "too-short" not in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr
