"""The script that keeps files from importing each other in circles."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "import-graph"


def run(folder, files, *arguments):
    (folder / "scripts").mkdir()
    script = shutil.copy(SCRIPT, folder / "scripts")
    for name, text in {"Cargo.toml": "", **files}.items():
        path = folder / "crates" / "a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return subprocess.run([script, *arguments, "a"], capture_output=True, text=True)


IN_ORDER = {
    "src/lib.rs": "mod low;\nmod high;\npub use high::top;\n",
    "src/low.rs": "pub struct Low;\n",
    "src/high/mod.rs": "mod inner;\npub use inner::top;\nuse crate::low::Low;\n",
    "src/high/inner.rs": "use super::Low;\npub fn top() -> Low { Low }\n",
}

CIRCLES = {
    "by use": "use crate::high::{self, top};\n",
    "by a nested use": "use crate::{high::{top as other}};\n",
    "through what a crate passes on": "use crate::top;\n",
    "by a glob": "use crate::high::*;\n",
    "by a written path": "fn low() { crate::high::top(); }\n",
    "by a path below an imported module": "use crate::high;\nfn low() { high::top(); }\n",
}

NO_CIRCLES = {
    "a comment": "// use crate::top;\n/* crate::high::top() */\n",
    "a text": 'const A: &str = "crate::high::top()"; const B: &str = r#"a " crate::top()"#;\n',
    "a character before a path": "const A: char = '\"'; const B: [char; 2] = ['\\'', '{'];\n",
    "a test": "#[cfg(test)]\nmod tests {\n    use crate::top;\n    fn f() { top(); }\n}\n",
    "another crate": "use other::high::top;\n",
}


@pytest.mark.parametrize("text", CIRCLES.values(), ids=CIRCLES.keys())
def test_a_circle_through_two_folders_is_found(tmp_path, text):
    files = IN_ORDER | {"src/low.rs": text + IN_ORDER["src/low.rs"]}
    done = run(tmp_path, files, "--check")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "low.rs -> high/" in done.stdout
    assert "-> low.rs" in done.stdout


@pytest.mark.parametrize("text", NO_CIRCLES.values(), ids=NO_CIRCLES.keys())
def test_what_is_no_import_is_no_circle(tmp_path, text):
    files = IN_ORDER | {"src/low.rs": text + IN_ORDER["src/low.rs"]}
    done = run(tmp_path, files, "--check")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_graph_is_printed_by_folder(tmp_path):
    done = run(tmp_path, IN_ORDER)
    assert done.stdout.splitlines() == ["a: 4 files, 2 folders", "  high/ -> . (2)"]


def test_a_circle_inside_of_one_folder_is_allowed(tmp_path):
    files = {
        "src/lib.rs": "mod one;\nmod two;\n",
        "src/one.rs": "use crate::two::Two;\npub struct One;\n",
        "src/two.rs": "use crate::one::One;\npub struct Two;\n",
    }
    assert run(tmp_path, files, "--check").returncode == 0


def test_an_unknown_crate_is_an_error(tmp_path):
    done = run(tmp_path, IN_ORDER, "b")
    assert done.returncode == 1
    assert "there is no crate 'b'" in done.stderr
