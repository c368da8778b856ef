import runpy

import numpy as np


def test_the_page_of_the_losses_is_what_the_register_gives(repository):
    made = runpy.run_path(str(repository / "docs" / "make_losses.py"))["text"]()
    assert (repository / "docs" / "losses.md").read_text(encoding="utf-8") == made, "run python docs/make_losses.py"


def test_every_command_has_a_page_with_its_help(repository, monkeypatch):
    monkeypatch.syspath_prepend(repository)
    pages = runpy.run_path(str(repository / "docs" / "make_commands.py"))["pages"]()
    commands = [path.stem for folder in ("tfrecords_tools", "eval") for path in (repository / folder).glob("[a-z]*.py")]
    assert set(pages) >= {f"{name}.md" for name in [*commands, "train_centre", "train_triplet", "index"]}
    for name, text in pages.items():
        assert name == "index.md" or "Flags:\n  --" in text
    assert all(f"]({name})" in pages["index.md"] for name in pages if name != "index.md")


def test_the_page_names_every_loss_with_a_source(repository):
    from keras_face import losses

    lines = (repository / "docs" / "losses.md").read_text(encoding="utf-8").splitlines()
    rows = {
        line.split("`")[1]: line.split(" | ") for line in lines if line.startswith("| `") and line.count(" | ") == 4
    }
    assert set(rows) == set(losses.names())
    assert all(len(row[3]) > 5 and len(row[1]) > 1 and len(row[4]) > 5 for row in rows.values())


def test_the_curves_of_the_picture_are_the_formulas(repository):
    curves = runpy.run_path(str(repository / "docs" / "make_losses.py"))["target_functions"]()
    angles = np.radians(np.arange(181))
    np.testing.assert_allclose(curves["norm_softmax"], np.cos(angles), atol=1e-12)
    np.testing.assert_allclose(curves["arcface"][:150], np.cos(angles + 0.5)[:150], atol=1e-12)
    np.testing.assert_allclose(curves["linear_smooth"], 0.6 - 0.7 * angles, atol=1e-7)
