"""Lists of photos with their people, in each form that such lists have."""

import pytest

from keras_face.photos.labelled import read_labelled


def read(tmp_path, *lines, mode="\n"):
    path = tmp_path / "list.txt"
    path.write_bytes(mode.join(lines).encode("utf-8", "surrogateescape"))
    return read_labelled(path)


@pytest.mark.parametrize(
    "lines",
    [
        ("ann/1.jpg 0", "ann/2.jpg 0", "bo, c/3 1.jpg 11", "a.jpg 2"),
        ("ann/1.jpg,0", "ann/2.jpg , 0", "bo, c/3 1.jpg,11", "a.jpg,2"),
        ("1\tann/1.jpg\t0", "1\tann/2.jpg\t0", "1\tbo, c/3 1.jpg\t11", "1\ta.jpg\t2"),
        ("0\t0.000000\tann/1.jpg", "5\t0\tann/2.jpg", "3\t11.0\tbo, c/3 1.jpg", "4\t2.\ta.jpg"),
        ("path,label", "ann/1.jpg,0", "ann/2.jpg,0", '"bo, c/3 1.jpg",11', "a.jpg,2"),
        ("Identity,score,Image_Path", "0,.5,ann/1.jpg", "0,,ann/2.jpg", '11,.1,"bo, c/3 1.jpg"', "2,1,a.jpg"),
    ],
)
def test_each_form_of_a_list_has_its_photos_in_the_order_of_the_labels(tmp_path, lines):
    expected = [("0", ["ann/1.jpg", "ann/2.jpg"]), ("2", ["a.jpg"]), ("11", ["bo, c/3 1.jpg"])]
    assert list(read(tmp_path, *lines).items()) == expected
    assert list(read(tmp_path, *lines, "", mode="\r\n").items()) == expected


def test_below_a_header_people_may_have_names(tmp_path):
    assert read(tmp_path, "file,person", "2.jpg,Zoë", "1.jpg,Ann", "3.jpg,Zoë") == {
        "Ann": ["1.jpg"],
        "Zoë": ["2.jpg", "3.jpg"],
    }


def test_names_may_have_any_bytes(tmp_path):
    assert read(tmp_path, "caf\udce9/1.jpg 4") == {"4": ["caf\udce9/1.jpg"]}


@pytest.mark.parametrize(
    "lines, wrong",
    [
        (("a.jpg 0", "b.jpg ann"), 2),
        (("a.jpg 0", "b.jpg -1"), 2),
        (("a.jpg",), 1),
        (("1\ta.jpg\t0", "0\tb.jpg\t0"), 2),  # not aligned
        (("0\t1.0\ta.jpg", "1\t1.5\tb.jpg"), 2),
        (("0\t1\t2\ta.jpg",), 1),  # two labels
        (("path,label", "a.jpg,0", "b.jpg"), 3),
        (("path,label", "a.jpg,"), 2),
    ],
)
def test_a_line_of_another_form_is_named_with_the_forms_there_are(tmp_path, lines, wrong):
    with pytest.raises(
        ValueError, match=rf"list\.txt, line {wrong}: expected a photo and its person as in `ann/1.jpg 0`"
    ):
        read(tmp_path, *lines)


def test_a_photo_that_comes_twice_and_an_empty_list_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"line 2: expected each photo once, got 'a\.jpg' again"):
        read(tmp_path, "a.jpg 0", "a.jpg,1")
    with pytest.raises(ValueError, match=r"list\.txt: expected a list of photos, the file is empty"):
        read(tmp_path, "", " ")
