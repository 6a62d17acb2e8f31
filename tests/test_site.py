"""The documentation site: pages for public names and figures, search from disk, copies without prompts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cofire

ROOT = Path(__file__).parents[1]
pytest.importorskip("mkdocs", reason="needs mkdocs")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site as `make docs` builds it; a broken link is an error."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if (chromium := shutil.which("chromium") or shutil.which("google-chrome")) is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.mark.slow
def test_every_public_name_and_figure_has_a_page(site):
    index = (site / "api" / "cofire.html").read_text()
    parts = {"integrations", "nets", "papers", "record", "reports", "stats", "__version__"}
    for name in set(cofire.__all__) - parts:
        assert f".{name}.html" in index, name
        assert list(site.glob(f"api/*/*.{name}.html")), name
    start = (site / "index.html").read_text()
    for page in (ROOT / "docs" / "papers").glob("*.*.md"):
        assert f"papers/{page.stem}.html" in (site / "papers" / "index.html").read_text() + start, page


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site):
    for page in [site / "index.html", *site.glob("guide/*.html")]:
        text = page.read_text()
        assert 'src="http' not in text and "unpkg.com" not in text, page


@pytest.mark.slow
def test_search_works_from_disk(site, browser):
    page = browser.new_page()
    page.goto(f"{(site / 'index.html').as_uri()}?q=effective+rank")
    page.wait_for_selector(".md-search-result__item", state="attached", timeout=60_000)
    page.close()


@pytest.mark.slow
def test_examples_are_copied_without_prompts(site, browser):
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    block = page.locator("code:has(.gp)").first
    copied = block.evaluate("code => { code.setAttribute('data-md-copying', ''); return code.innerText }")
    assert copied.startswith("import torch, cofire") and ">>>" not in copied
    assert "True" not in copied.splitlines()  # the output of an example
    page.close()
