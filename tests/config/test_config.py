import pytest

from keras_face import config


def write(tmp_path, text):
    path = tmp_path / "run.ini"
    path.write_text(text)
    return path


def test_values_have_the_types_of_their_fields(tmp_path):
    path = write(
        tmp_path,
        "[data]\nimage_size = [112, 96]\nbalance = yes\ntrain = vgg, ms1m\n"
        "[vgg]\nrecords = a\nweight = 2\n[ms1m]\nrecords = b\n"
        "[schedule]\nlr_steps = 1, 2\nlr_factors = .5, .25\n",
    )
    loaded = config.load(path)
    assert loaded.data == config.DataConfig(train=("vgg", "ms1m"), image_size=(112, 96), balance=True)
    assert loaded.datasets == {
        "vgg": config.DatasetConfig(records="a", weight=2.0),
        "ms1m": config.DatasetConfig(records="b"),
    }
    assert loaded.schedule.lr_steps == (1, 2)
    assert loaded.schedule.lr_factors == (0.5, 0.25)


@pytest.mark.parametrize(
    "text, parts",
    [
        ("[training]\nbatchsize = 3\n", ["run.ini", "[training]", "batchsize", "batch_size"]),
        (
            "[trainning]\nbatch_size = 3\n",
            ["run.ini", "unknown section 'trainning'; did you mean 'training'? known are run, "],
        ),
        ("[training]\nmomentum = 3\n", ["[training] momentum", "belongs in [latse] or [optimizer]"]),
        ("[training]\nbatch_size = many\n", ["[training] batch_size", "a whole number", "'many'"]),
        ("[training]\nbatch_size = 0\n", ["[training] batch_size", "[1, inf]", "got 0"]),
        ("[data]\nbalance = perhaps\n", ["[data] balance", "True or False", "'perhaps'"]),
        ("[data]\nimage_size = 112\n", ["[data] image_size", "height, width", "112"]),
        ("[data]\ncrop_from = 144\n", ["[data] crop_from", "height, width", "144"]),
        ("[data]\ncrop_from = 144, 100\n", ["[data] crop_from", "(112, 112)", "(144, 100)"]),
        ("[loss angular_centre]\nweight = wide\n", ["[loss angular_centre] weight", "a number", "'wide'"]),
        ("[loss centre_loss]\nweight = -1\n", ["[loss centre_loss] weight", "[0, inf]", "got -1"]),
        ("[loss]\nhaed = cosface\n", ["[loss] haed", "did you mean 'head'?"]),
        (
            "[loss]\nsub_centres = 3\n",
            ["[loss] sub_centres", "known are head", "in a section of its name, [loss arcface]"],
        ),
        (
            "[data]\ntrain = vgg\n[vg]\nrecords = a\n",
            ["[data] train", "unknown dataset section 'vgg'; did you mean 'vg'?"],
        ),
        ("[vgg]\nmxrec = a\n", ["[vgg] mxrec", "records"]),
        ("[training]\nsteps = 3\nepochs = 2\n", ["[training]", "steps 3", "epochs 2"]),
        ("[loss]\nhead = none\n", ["[loss] head none", "[loss batch_hard_triplet]"]),
        (
            "[loss]\nhead = none\n[loss angular_centre]\nweight = 1\n",
            ["[loss angular_centre] weight", "expected 0", "got 1"],
        ),
        ("[loss batch_hard_triplet]\nweight = 1\n", ["images_per_identity", "got 0"]),
        ("[schedule]\nlr_steps = 5, 3, 9\n", ["rising lr_steps", "(5, 3, 9)"]),
        ("[validation]\nbest = lfw\n", ["[lfw] enable"]),
        ("[run]\nseed = ${KERAS_FACE_NOWHERE}\n", ["KERAS_FACE_NOWHERE", "[run] seed"]),
        ("batch_size = 3\n", ["run.ini", "INI"]),
        ("[run]\nseed = 1\nseed = 2\n", ["run.ini", "seed"]),
    ],
)
def test_a_mistake_is_one_line_that_names_its_place_and_the_remedy(tmp_path, text, parts):
    with pytest.raises(ValueError, match=r"\w") as raised:
        config.load(write(tmp_path, text))
    message = str(raised.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.ini"):
        config.load(tmp_path / "nowhere.ini")


def test_overrides_win_over_the_file_and_later_ones_over_earlier_ones(tmp_path):
    path = write(tmp_path, "[training]\nbatch_size = 3\nsteps = 7\n")
    loaded = config.load(path, ["training.batch_size=4", "training.batch_size = 5", "vgg.records=x=y"])
    assert loaded.training.batch_size == 5
    assert loaded.training.steps == 7
    assert loaded.datasets["vgg"].records == "x=y"


@pytest.mark.parametrize("override", ["training.batch_size", "batch_size=3", "=3", ""])
def test_a_malformed_override_is_refused(override):
    with pytest.raises(ValueError, match=r"expected section\.key=value"):
        config.load(None, [override])


def test_settings_of_a_loss_have_a_section_of_their_own(tmp_path):
    text = "[loss arcface]\ngradient = detached\neasy = true\n[loss sequence_agents]\nweight = 0.04\nscale = none\n"
    loaded = config.load(write(tmp_path, text), ["loss sequence_agents.seed=3"])
    assert loaded.losses == {
        "angular_centre": {"weight": 0.3},
        "arcface": {"gradient": "detached", "easy": True},
        "sequence_agents": {"weight": 0.04, "scale": None, "seed": 3},
    }
    config.write_config(loaded, tmp_path / "again.ini")
    assert config.load(tmp_path / "again.ini") == loaded


def test_the_weights_of_losses_are_those_above_0_beside_the_head():
    assert config.load().loss_weights == {"angular_centre": 0.3}
    overrides = ["loss arcface.weight=2", "loss angular_centre.weight=0", "loss centre_loss.weight=0.01"]
    assert config.load(None, overrides).loss_weights == {"centre_loss": 0.01}


def test_settings_of_the_default_term_leave_its_weight_and_no_head_has_no_such_term():
    assert config.load(None, ["loss angular_centre.scale=32"]).losses == {
        "angular_centre": {"weight": 0.3, "scale": 32}
    }
    overrides = ["loss.head=none", "loss n_pair.weight=1"]
    assert config.load(None, overrides).losses == {"n_pair": {"weight": 1.0}}


def test_spaces_within_a_sections_name_make_no_other_section(tmp_path):
    path = write(tmp_path, "[loss  arcface]\neasy = true\n[loss arcface]\nmargin = 0.4\n")
    assert config.load(path).losses["arcface"] == {"easy": True, "margin": 0.4}


@pytest.mark.parametrize(
    "text, message",
    [
        ("margin = 0.4", "[loss] margin: it is [loss arcface] margin now"),
        ("head = cosface\nmargin = 0.4", "[loss] margin: it is [loss cosface] margin now"),
        ("scale = -1", "[loss] scale: it is [loss arcface] scale now; leave it out for that loss's own default"),
        ("head = none\nscale = 32", "[loss] scale: it is a key of the head's section now, and head is none"),
        ("centre_weight = 0.3", "[loss] centre_weight: it is [loss angular_centre] weight now"),
        ("triplet_weight = 10", "[loss] triplet_weight: it is [loss batch_hard_triplet] weight now"),
        ("triplet_margin = 0.3", "[loss] triplet_margin: it is [loss batch_hard_triplet] margin now"),
    ],
)
def test_a_key_of_earlier_versions_is_told_its_new_name(tmp_path, text, message):
    path = write(tmp_path, f"[loss]\n{text}\n")
    with pytest.raises(ValueError, match=r"\w") as raised:
        config.load(path)
    assert str(raised.value) == f"{path}: {message}"


def test_an_override_of_an_earlier_version_is_not_taken_for_nothing(tmp_path):
    path = write(tmp_path, "[loss arcface]\nmargin = 0.5\n")
    with pytest.raises(ValueError, match=r"^--set: \[loss\] margin: it is \[loss arcface\] margin now$"):
        config.load(path, ["loss.margin=0.4"])
    assert config.load(path, ["loss arcface.margin=0.4"]).losses["arcface"] == {"margin": 0.4}


def test_environment_variables_are_taken_in_with_a_default(tmp_path, monkeypatch):
    path = write(tmp_path, "[lfw]\nprefix = ${KERAS_FACE_TEST:-/default}/lfw\n")
    monkeypatch.delenv("KERAS_FACE_TEST", raising=False)
    assert config.load(path).lfw.prefix == "/default/lfw"
    monkeypatch.setenv("KERAS_FACE_TEST", "/data")
    assert config.load(path).lfw.prefix == "/data/lfw"


def test_a_written_configuration_loads_as_it_was(tmp_path):
    before = config.load(
        config.QUICK_START, ["data.image_size=112,96", "vgg.records=a b", "optimizer.weight_decay=5e-4"]
    )
    config.write_config(before, tmp_path / "a.ini")
    again = config.load(tmp_path / "a.ini")
    assert again == before
    config.write_config(again, tmp_path / "b.ini")
    assert (tmp_path / "a.ini").read_text() == (tmp_path / "b.ini").read_text()


TINY = "[training]\nbatch_size = 512\nsteps = 9\n[loss]\nhead = a_softmax\n[tiny]\ntraining.steps = 4\n"


def test_a_tiny_set_is_laid_over_the_file_and_overrides_over_it(tmp_path):
    path = write(tmp_path, TINY + "loss a_softmax.lambda_gamma = 1\nvgg.records =\n[vgg]\nrecords = a\n")
    plain, tiny = config.load(path), config.load(path, tiny=True)
    assert (plain.training.steps, tiny.training.steps, tiny.training.batch_size) == (9, 4, 512)
    assert (plain.losses.get("a_softmax"), tiny.losses.get("a_softmax")) == (None, {"lambda_gamma": 1})
    assert (plain.datasets["vgg"].records, tiny.datasets["vgg"].records) == ("a", "")
    assert config.load(path, ["training.steps=2"], tiny=True).training.steps == 2


def test_a_file_without_a_tiny_set_is_refused_where_one_is_asked_for(tmp_path):
    path = write(tmp_path, "[training]\nsteps = 9\n")
    with pytest.raises(ValueError, match=r"run\.ini: expected a section \[tiny\], found none"):
        config.load(path, tiny=True)


@pytest.mark.parametrize(
    "line, parts",
    [
        ("training.stepz = 4", ["[training] stepz", "did you mean 'steps'?"]),
        ("training.steps = few", ["[training] steps", "a whole number", "'few'"]),
        ("training.batch_size = 0", ["[training] batch_size", "[1, inf]"]),
        ("steps = 4", ["section.key=value", "steps=4"]),
    ],
)
def test_a_mistake_in_a_tiny_set_names_file_and_section(tmp_path, line, parts):
    path = write(tmp_path, f"[training]\nsteps = 9\n[tiny]\n{line}\n")
    config.load(path)
    with pytest.raises(ValueError, match=r"run\.ini: \[tiny\]") as raised:
        config.load(path, tiny=True)
    for part in parts:
        assert part in str(raised.value)
