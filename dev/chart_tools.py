"""The one Python package that the chart scripts need, in its own environment under .deps, at a pinned version."""

import pathlib
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESOURCES = ROOT / "Sources" / "Reporting" / "Resources"
# The package carries Vega, Vega-Lite and Vega-Embed; the second version says which of its Vega-Lites to use.
PACKAGE = "vl-convert-python==1.9.0.post1"
VEGA_LITE = "6.4"


def enter_environment():
    """Goes on in the environment, made first where it is missing: the running script starts once more in it."""
    folder = ROOT / ".deps" / "charts" / PACKAGE
    python = folder / "bin" / "python"
    if pathlib.Path(sys.prefix) == folder:
        return
    if not (folder / "ready").exists():
        print(f"installing {PACKAGE} into {folder.relative_to(ROOT)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE], check=True)
        (folder / "ready").touch()
    sys.exit(subprocess.run([python, *sys.argv]).returncode)
