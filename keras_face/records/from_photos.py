"""Folders and lists of aligned photos become records: every photo is checked, and what is left out is said."""

import os

from keras_face.photos import checked, labelled, people
from keras_face.photos.lists import PhotoFolder
from keras_face.photos.summary import Summary
from keras_face.records import photo_sets, writing


def write_folder(
    source: str | os.PathLike,
    output: writing.Output | str | os.PathLike,
    people_file: str | os.PathLike | None = None,
    min_photos: int = 1,
    set_size: int = 1,
    image_size: tuple[int, int] | None = None,
    progress: bool = True,
    decode: bool = False,
    template: str | None = None,
) -> Summary:
    """Writes a folder with one folder of aligned photos per person as records, and returns the summary.

    What was left out, and why, is in `skipped.csv` beside the records.

    Args:
        source: The folder; the people are its folders, and get their labels in the order of their names.
        output: Folder to make, which must not exist, and how.
        people_file: The people to take (`photos.people.read_people`); None: all.
        min_photos: People with fewer good photos are left out, >= 1.
        set_size: Photos in a record, at most; those of a person are dealt out evenly: 10 become 4, 3 and 3.
        image_size: (height, width) that the photos must have; None: what most have.
        progress: Whether to show progress bars.
        decode: Whether to decode every photo to see that it can be; else only those whose structure leaves a doubt.
        template: What the photos are aligned to; None: what the folder's own record says (`photos.template`).

    Raises: ValueError: see `photos.people.scan`, `photos.template.agreed` and `writing.write_records`.

    Examples:
        >>> keras_face.synthetic.write_photos("crops/mine", num_people=3, photos_per_person=4)  # in place of yours
        >>> summary = keras_face.records.write_folder("crops/mine", "records/mine", progress=False)
        >>> keras_face.records.open_dataset("records/mine").identities
        ('Person_00000', 'Person_00001', 'Person_00002')
    """
    writing.check_new(output)
    found = people.scan(source, people_file, min_photos, image_size, progress, decode)
    how = f"folder {source}, people: {people_file or 'all'}, photos of each: {min_photos} or more, in a set: {set_size}"
    return photo_sets.write_photos(found, output, set_size, how, template, progress)


def write_list(
    list_file: str | os.PathLike,
    prefix: str | os.PathLike,
    output: writing.Output | str | os.PathLike,
    set_size: int = 1,
    image_size: tuple[int, int] | None = None,
    progress: bool = True,
    template: str | None = None,
) -> Summary:
    r"""Writes the photos of a list file as records, and returns the summary; the rest is as in `write_folder`.

    The names of the people are their labels in the file, which become 0, 1, ... in the same order. A photo is found
    under another ending, too, see `photos.lists.PhotoFolder`.

    Args:
        list_file: One of the forms that `photos.labelled.read_labelled` reads.
        prefix: Folder that the paths start from.
        output: Folder to make, which must not exist, and how.
        set_size: Photos in a record, at most.
        image_size: (height, width) that the photos must have; None: what most have.
        progress: Whether to show progress bars.
        template: What the photos are aligned to; None: what the records of their folders say (`photos.template`).

    Raises: ValueError as `read_labelled`, and where there is no good photo; see `photos.template.agreed` and
        `writing.write_records`.

    Examples:
        >>> keras_face.synthetic.write_photos("crops/listed", num_people=2, photos_per_person=2)
        >>> people = [("Person_00000", 7), ("Person_00001", 9)]  # labels are whole numbers
        >>> lines = [f"{name}/{name}_000{photo}.jpg {label}" for name, label in people for photo in (1, 2)]
        >>> count = Path("photos.txt").write_text("\n".join(lines))
        >>> summary = keras_face.records.write_list("photos.txt", "crops/listed", "records/listed", progress=False)
        >>> keras_face.records.open_dataset("records/listed").identities
        ('7', '9')
    """
    writing.check_new(output)
    listed = labelled.read_labelled(list_file)
    find = PhotoFolder(prefix)
    photos = {label: [(name, os.fspath(find(name))) for name in names] for label, names in listed.items()}
    found = checked.check(photos, [], 1, image_size, progress, source=prefix)
    how = f"list {list_file}, photos in a set: {set_size}"
    return photo_sets.write_photos(found, output, set_size, how, template, progress)
