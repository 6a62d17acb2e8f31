import io
import os
import zipfile
from pathlib import Path

import pytest

from cofire.papers.training import texts
from cofire.papers.training.texts import as_text, load_text

SHARED = Path(os.environ.get("COFIRE_DATA_ROOT", Path(__file__).parents[3].parent / "shared" / "data"))


def spelled(part, vocabulary) -> str:
    return "".join(vocabulary[place] for place in part.tolist())


def test_any_string_survives_the_encoding() -> None:
    text = as_text("own", "añ𝄞b\n", "b\0")
    assert spelled(text.train, text.vocabulary) == "añ𝄞b\n" and spelled(text.test, text.vocabulary) == "b\0"
    assert text.vocabulary == tuple(sorted(set("añ𝄞b\n\0"))) and len(text.first(2, 1).test) == 1
    with pytest.raises(ValueError, match="got 0 to train and 1 to test on"):
        as_text("own", "", "a")


def test_the_bundled_text_prints_nothing(capsys) -> None:
    text = load_text("zen")
    assert len(text.train) > 600 and len(text.test) > 150 and not capsys.readouterr().out
    assert load_text("zen") is text


@pytest.mark.skipif(not (SHARED / "tinyshakespeare.txt").is_file(), reason="needs tinyshakespeare (COFIRE_DATA_ROOT)")
def test_real_tinyshakespeare(monkeypatch) -> None:
    monkeypatch.setenv("COFIRE_DATA_ROOT", str(SHARED))
    text = load_text("tinyshakespeare")
    assert len(text.train) + len(text.test) == 1_115_394 and len(text.vocabulary) == 65
    assert spelled(text.train[:14], text.vocabulary) == "First Citizen:"


def archive(path: Path, members: dict[str, str]) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name, value in members.items():
            made.writestr(name, value)
    path.write_bytes(content.getvalue())


def test_archives_are_read_without_being_unpacked(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COFIRE_DATA_ROOT", str(tmp_path))
    archive(tmp_path / "text8.zip", {"text8": "ab" * 100})
    archive(tmp_path / "wikitext-2-v1.zip", {f"wikitext-2/wiki.{part}.tokens": part for part in ("train", "test")})
    eight, wiki = load_text("text8"), load_text("wikitext-2")
    assert len(eight.train) == 190 and len(eight.test) == 10
    assert spelled(wiki.train, wiki.vocabulary) == "train" and spelled(wiki.test, wiki.vocabulary) == "test"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text8.zip", "wikitext-2-v1.zip"]


def test_absent_and_wrong_files_are_errors(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COFIRE_DATA_ROOT", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"tinyshakespeare\.txt does not exist"):
        load_text("tinyshakespeare")
    with pytest.raises(ValueError, match="choose from tinyshakespeare, text8, wikitext-2, zen"):
        load_text("bible")
    (tmp_path / "text8.zip").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="not a zip archive with text8"):
        load_text("text8")
    archive(tmp_path / "wikitext-2-v1.zip", {"other": ""})
    with pytest.raises(ValueError, match=r"with wikitext-2/wiki\.train\.tokens"):
        load_text("wikitext-2")


def test_downloads_are_checked(monkeypatch, tmp_path: Path) -> None:
    """The loader requests the file with its checksum and reads the download."""
    asked = []

    def fetch(remote):
        asked.append(remote)
        (tmp_path / "input.txt").write_text("to be or not to be")
        return tmp_path

    monkeypatch.delenv("COFIRE_DATA_ROOT", raising=False)
    monkeypatch.setattr(texts, "fetch", fetch)
    texts._loaded.cache_clear()
    assert len(load_text("tinyshakespeare").train) == 16
    assert asked[0].md5 == {"input.txt": "6fb458f1232090904fb40fe944165e91"}
    texts._loaded.cache_clear()
