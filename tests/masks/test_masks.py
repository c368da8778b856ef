"""Masks: landmarks, warp, pictures, colours, light and blending."""

import math

import cv2
import numpy as np
import pytest

from keras_face.alignment.templates import template as alignment_template
from keras_face.masks import colours, drawing, landmarks, light, wearing
from keras_face.masks.mean_face import MIRROR, five_points, mean_face
from keras_face.masks.pictures import MaskPicture, read_mask_picture
from keras_face.masks.wardrobe import COLOURS, Wardrobe
from keras_face.masks.warp import triangulate, warp
from keras_face.photos.luminance import LUMINANCE


def rotation(yaw, pitch, roll):
    """Roll after pitch after yaw, each by its matrix."""
    around_y = [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
    around_x = [[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]]
    around_z = [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
    return np.array(around_z) @ around_x @ around_y


def seen(yaw=0.0, pitch=0.0, roll=0.0, eye_distance=40.0, place=(80.0, 70.0)):
    """The landmarks of the mean face as a turned head shows them, pixels."""
    return mean_face() @ rotation(yaw, pitch, roll)[:2].T * eye_distance + place


def test_mean_face_is_symmetric_and_measured_in_eye_distances():
    face = mean_face()
    np.testing.assert_allclose(face[list(MIRROR)], face * (-1, 1, 1), atol=0.0011)
    left, right, *_ = five_points(face)
    np.testing.assert_allclose(right - left, [1, 0, 0], atol=0.002)


def test_aligned_landmarks_lie_on_the_template_of_alignment():
    arcface = alignment_template("arcface")
    np.testing.assert_allclose(landmarks._ARCFACE, arcface.landmarks, atol=1e-4)
    off = np.linalg.norm(five_points(landmarks.aligned((112, 112))) - arcface.landmarks, axis=1)
    assert off.max() < 2.5  # pixels: dlib's mean face is not quite ArcFace's
    np.testing.assert_allclose(landmarks.aligned((112, 96)), landmarks.aligned((112, 112)) - (8, 0), atol=1e-6)
    twice = (landmarks.aligned((112, 112)) + 0.5) * 2 - 0.5  # the middles of pixels of a crop of twice the size
    np.testing.assert_allclose(landmarks.aligned((224, 224)), twice, atol=1e-5)


@pytest.mark.parametrize("yaw", [-0.8, -0.4, 0.0, 0.6])
@pytest.mark.parametrize("roll", [-2.5, 0.0, 0.5])
def test_five_points_give_back_the_jaw_of_a_turned_head(yaw, roll):
    truth = seen(yaw, 0.0, roll)
    found = landmarks.from_points5(five_points(truth))
    assert np.linalg.norm(found - truth, axis=1).max() < 0.06 * 40  # the belief that heads look ahead costs a little


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((4, 2)), "expected 5 landmarks"),
        (np.full((5, 2), np.nan), "finite"),
        (np.zeros((5, 2)), "eye on the image's left"),
        ([[70, 50], [40, 50], [55, 70], [68, 90], [42, 90]], "eye on the image's left"),  # mirrored
    ],
)
def test_landmarks_that_are_no_face_are_refused(points, message):
    with pytest.raises(ValueError, match=message):
        landmarks.from_points5(points)


def test_68_landmarks_are_taken_as_they_are_and_mirrored_ones_refused():
    truth = seen(0.3, 0.1, 0.2)
    np.testing.assert_array_equal(landmarks.from_points68(truth), truth)
    with pytest.raises(ValueError, match="eye on the image's left"):
        landmarks.from_points68(truth * (-1, 1))
    with pytest.raises(ValueError, match="image_size"):
        landmarks.aligned((112, 0))


def test_triangles_cover_the_hull_and_no_point_lies_in_their_circles():
    points = np.random.default_rng(0).uniform(0, 100, (30, 2))
    triangles = points[triangulate(points)]
    first, second = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    areas = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
    assert areas.sum() == pytest.approx(cv2.contourArea(cv2.convexHull(points.astype(np.float32))), rel=1e-4)
    for corners in triangles:
        # The centre has the same distance from all corners: 2 (b - a) . c = |b|^2 - |a|^2.
        squares = (corners**2).sum(axis=1)
        centre = np.linalg.solve(2 * (corners[1:] - corners[0]), squares[1:] - squares[0])
        radius = np.linalg.norm(corners[0] - centre)
        assert (np.linalg.norm(points - centre, axis=1) > radius * (1 - 1e-4)).all()


def test_warp_onto_the_anchors_themselves_changes_nothing():
    picture = np.random.default_rng(0).uniform(0, 255, (40, 50, 4)).astype(np.float32)
    points = np.array([[-1, -1], [50, -1], [-1, 40], [50, 40], [20, 10], [31.5, 28.25]])
    np.testing.assert_allclose(warp(picture, points, points, (40, 50), detail=1), picture, atol=1e-4)


def test_warp_is_the_affine_map_of_each_triangle_without_seams():
    random = np.random.default_rng(3)
    y, x = np.mgrid[:120, :120].astype(np.float32)
    picture = np.stack([x, y, np.ones_like(x)], axis=-1)  # each pixel says where it is
    source = np.array([[5, 5], [114, 5], [5, 114], [114, 114], [60, 60], [30, 70], [85, 40]], float)
    destination = source * 0.6 + random.uniform(-5, 5, source.shape) + 4
    bent = warp(picture, source, destination, (90, 90), detail=1)
    found = np.zeros((90, 90), bool)
    for triangle in triangulate(source):
        equations = np.linalg.inv(np.column_stack([destination[triangle], np.ones(3)]).T)
        for row in range(90):
            for column in range(90):
                shares = equations @ (column, row, 1)
                if (shares > 1e-6).all():
                    assert not found[row, column]
                    found[row, column] = True
                    assert np.abs(bent[row, column, :2] - shares @ source[triangle]).max() < 0.04
                    assert bent[row, column, 2] == pytest.approx(1, abs=1e-6)
    assert found.sum() > 3000
    hull = cv2.convexHull(destination.astype(np.float32))
    outside = [(r, c) for r in range(90) for c in range(90) if cv2.pointPolygonTest(hull, (c, r), True) < -1e-3]
    assert not bent[tuple(np.transpose(outside))].any()


def test_a_triangle_that_is_turned_over_is_not_seen():
    picture = np.ones((20, 20, 4), np.float32)
    source = np.array([[0, 0], [19, 0], [0, 19], [19, 19]], float)
    folded = np.array([[0, 0], [19, 0], [0, 19], [2, 2]], float)  # the far half is bent back over the near one
    whole = warp(picture, source, source, (20, 20), detail=1)[..., 3].sum()
    assert warp(picture, source, folded, (20, 20), detail=1)[..., 3].sum() < 0.62 * whole
    assert not warp(picture, source, source[:, ::-1], (20, 20)).any()
    # Two triangles on the same place: the one that is larger there hides the other, unless it has an outer point.
    y, x = np.mgrid[:20, :20].astype(np.float32)
    folded = np.array([[0, 0], [12, 0], [0, 12], [0, 0], [19, 0], [0, 19]], float)
    source = np.array([[0, 0], [9, 0], [0, 9], [19, 19], [10, 19], [19, 10]], float)
    for outer, side in ((0, 19), (3, 0)):
        corner = warp(np.stack([x, y], axis=-1), source, folded, (20, 20), detail=1, outer=outer)[0, 0]
        np.testing.assert_allclose(corner, [side, side], atol=0.04)


def test_blending_is_what_loops_over_pixels_give():
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (6, 7, 3), np.uint8)
    alpha = random.uniform(0, 1, (6, 7, 1)).astype(np.float32)
    colour = random.uniform(0, 255, (6, 7, 3)).astype(np.float32)
    blended = wearing.blend(photo, np.concatenate([colour * alpha, alpha], axis=-1))
    for row in range(6):
        for column in range(7):
            for channel in range(3):
                share = float(alpha[row, column, 0])
                expected = (1 - share) * photo[row, column, channel] + share * float(colour[row, column, channel])
                assert abs(int(blended[row, column, channel]) - expected) <= 0.5001


def square_mask(colour=(10, 20, 30)):
    """An opaque square on transparent black, whose corners belong at the corners of eyes and mouth."""
    picture = np.zeros((84, 84, 4), np.uint8)
    picture[10:74, 10:74] = (*colour, 255)
    anchors = np.array([[9.5, 9.5], [73.5, 9.5], [9.5, 73.5], [73.5, 73.5]])
    return MaskPicture("square", picture, np.ones((84, 84), np.float32), anchors, np.eye(68)[[36, 45, 48, 54]])


@pytest.mark.parametrize("match_light", [False, True])
def test_pixels_outside_the_mask_are_unchanged_and_those_within_are_the_mask(match_light):
    photo = np.random.default_rng(0).integers(0, 256, (140, 160, 3), np.uint8)
    points = seen(0.3, 0.1, 0.2)
    mask_picture = square_mask()
    worn = wearing.wear(photo, points, mask_picture, colours.dress(mask_picture), match_light=match_light)
    polygon = points[[36, 45, 54, 48]].astype(np.float32)
    inside = outside = 0
    for row in range(140):
        for column in range(160):
            distance = cv2.pointPolygonTest(polygon, (column, row), True)
            if distance < -2.5:  # pixels; what is nearer shares a sample with the edge
                outside += 1
                assert (worn[row, column] == photo[row, column]).all()
            elif distance > 2.5 and not match_light:
                inside += 1
                assert (worn[row, column] == (10, 20, 30)).all()
    assert outside > 15000
    assert match_light or inside > 500


def test_the_edge_of_a_white_mask_on_a_white_photo_is_white():
    photo = np.full((140, 160, 3), 255, np.uint8)
    mask_picture = square_mask((255, 255, 255))
    worn = wearing.wear(photo, seen(0.2, 0, 0.3), mask_picture, colours.dress(mask_picture), match_light=False)
    assert worn.min() >= 254


def test_masks_cover_mouth_and_chin_and_never_an_eye():
    random = np.random.default_rng(0)
    for trial in range(60):
        points = seen(
            *random.uniform(-0.5, 0.5, 2) * (1, 0.5), random.uniform(-0.6, 0.6), random.uniform(15, 60), (150, 130)
        )
        points += random.normal(0, 0.02, points.shape) * np.linalg.norm(points[36] - points[45])
        mask_picture = drawing.draw(drawing.names()[trial % len(drawing.names())])
        alpha = mask_picture.put_on(colours.dress(mask_picture), points, (300, 300))[..., 3]
        eyes = np.zeros((300, 300), np.uint8)
        for eye in (points[36:42], points[42:48]):
            cv2.fillConvexPoly(eyes, cv2.convexHull(np.rint(eye).astype(np.int32)), 1)
        assert alpha[eyes > 0].max() < 0.02
        for landmark in (*range(48, 68), 8, 30, 33):
            x, y = np.rint(points[landmark] * (1, 1) - (0, 1 if landmark == 8 else 0)).astype(int)
            assert alpha[y, x] > 0.9


def test_dyeing_keeps_folds_and_straps():
    picture = np.full((8, 8, 4), 255, np.uint8)
    picture[:, :4, :3], picture[:, 4:, :3] = 150, 50  # mean 100: one half lit 1.5, the other 0.5
    cloth = np.ones((8, 8), np.float32)
    mask_picture = MaskPicture("folded", picture, cloth, np.zeros((3, 2)), np.eye(68)[:3])
    dyed = colours.dress(mask_picture, (100, 60, 20))
    np.testing.assert_allclose(dyed[0, 0], [150, 90, 30, 1], rtol=1e-5)
    np.testing.assert_allclose(dyed[0, 7], [50, 30, 10, 1], rtol=1e-5)
    checked = colours.dress(mask_picture, (100, 60, 20), np.eye(8, dtype=np.float32), (20, 40, 60))
    np.testing.assert_allclose(checked[0, 0], [30, 60, 90, 1], rtol=1e-5)
    np.testing.assert_allclose(checked[0, 1], dyed[0, 1])
    strap = MaskPicture("strap", picture, np.zeros((8, 8), np.float32), np.zeros((3, 2)), np.eye(68)[:3])
    np.testing.assert_array_equal(colours.dress(strap, (255, 0, 0))[..., :3], picture[..., :3])
    printed = colours.dress(mask_picture, None, np.full((3, 5, 3), (100, 60, 20), np.uint8))
    np.testing.assert_allclose(printed, dyed, rtol=1e-5)
    with pytest.raises(ValueError, match="colour of the pattern"):
        colours.dress(mask_picture, None, np.eye(8, dtype=np.float32))
    with pytest.raises(ValueError, match="RGB picture"):
        colours.dress(mask_picture, None, np.eye(7, dtype=np.float32))


@pytest.mark.parametrize("name", [name for name in colours.patterns() if name != "plain"])
def test_patterns_have_both_colours_and_repeat(name):
    field = colours.pattern(name, (200, 240))
    assert field.dtype == np.float32
    assert 0 <= field.min() < 0.01
    assert 0.99 < field.max() <= 1
    assert 0.1 < field.mean() < 0.9
    np.testing.assert_allclose(field[:, :216], field[:, 24:], atol=2e-3)  # two bands of 12 pixels, 20 in a width


def test_light_of_the_face_goes_over_to_the_mask():
    overlay = np.zeros((60, 60, 4), np.float32)
    overlay[10:50, 10:50] = (120, 60, 60, 1)
    skin = np.float64([180, 130, 110])
    lit = skin * 140 / (skin @ LUMINANCE)
    even = light.match(np.rint(np.tile(lit, (60, 60, 1))).astype(np.uint8), overlay)
    np.testing.assert_allclose(even, overlay, rtol=0.01)  # usual light changes nothing
    darker = light.match(np.rint(np.tile(lit / 2, (60, 60, 1))).astype(np.uint8), overlay)
    np.testing.assert_allclose(darker[..., :3], overlay[..., :3] * math.sqrt(0.5), rtol=0.02)
    ramp = np.linspace(0.7, 1.3, 60)[:, np.newaxis]
    side = light.match(np.rint(np.tile(lit * ramp, (60, 1, 1))).astype(np.uint8), overlay)
    expected = 1 + light.SLOPE * (ramp[:, 0] - 1)
    np.testing.assert_allclose(side[30, 10:50, 0] / 120, expected[10:50], rtol=0.02)
    grey = light.match(np.full((60, 60, 3), 140, np.uint8), overlay)
    assert np.ptp(grey[30, 30, :3]) < 0.01
    dark = light.match(np.zeros((60, 60, 3), np.uint8), overlay)
    assert np.isfinite(dark).all()
    assert dark[..., :3].max() < 0.5 * 120
    np.testing.assert_array_equal(dark[..., 3], overlay[..., 3])


def test_grain_is_that_of_the_photo():
    noise = np.random.default_rng(0).normal(128, 5, (200, 200, 1)).repeat(3, axis=2)
    assert wearing.grain_of(np.rint(noise).astype(np.uint8)) == pytest.approx(5, rel=0.05)
    assert wearing.grain_of(np.full((50, 50, 3), 90, np.uint8)) == 0


def test_wrong_photos_and_options_are_refused():
    mask_picture = square_mask()
    with pytest.raises(ValueError, match=r"uint8 \[height, width, 3\]"):
        wearing.wear(np.zeros((5, 5, 4), np.uint8), seen(), mask_picture, colours.dress(mask_picture))
    with pytest.raises(ValueError, match="blur"):
        wearing.wear(np.zeros((5, 5, 3), np.uint8), seen(), mask_picture, colours.dress(mask_picture), blur=-1)
    for make, message in (
        (lambda: drawing.draw("hat"), "unknown mask picture"),
        (lambda: colours.colour("mauvish"), "unknown colour"),
        (lambda: colours.pattern("tartan", (4, 4)), "unknown pattern"),
        (lambda: Wardrobe(pictures=[]), "at least one mask picture"),
        (lambda: Wardrobe(pictures=["/no/such.png"]), "unknown mask picture"),
        (lambda: Wardrobe(colours=["#12"]), "own"),
        (lambda: Wardrobe(patterns=["/no/such.jpg"]), "unknown pattern"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_the_mask_depends_on_seed_and_name_alone():
    wardrobe = Wardrobe()
    names = [f"person{index}/photo.jpg" for index in range(300)]
    chosen = {name: wardrobe.choose(5, name) for name in names}
    assert chosen == {name: Wardrobe().choose(5, name) for name in reversed(names)}
    assert chosen != {name: wardrobe.choose(6, name) for name in names}
    assert {mask.picture for mask in chosen.values()} == set(drawing.names())
    assert {mask.colour for mask in chosen.values()} == set(COLOURS)
    assert all(
        mask.accent != mask.colour and bool(mask.accent) == (mask.pattern != "plain") for mask in chosen.values()
    )


def write_png(path, picture):
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA))


def test_a_mask_picture_file_is_worn_at_its_anchors(tmp_path):
    picture = np.zeros((40, 60, 4), np.uint8)
    picture[5:35, 10:50] = (200, 100, 50, 255)
    write_png(tmp_path / "mask.png", picture)
    usual = read_mask_picture(tmp_path / "mask.png")
    np.testing.assert_array_equal(usual.rgba, picture)
    (tmp_path / "mask.csv").write_text("landmark,x,y\n48,10,5\n54,49,5\n7+9,30,34.5\nb,30,5.5\n")
    mask_picture = read_mask_picture(tmp_path / "mask.png")
    points = seen(0.2)
    source, goals = mask_picture.points(points)
    np.testing.assert_array_equal(source[2], [30, 34.5])
    np.testing.assert_allclose(goals[:4], [points[48], points[54], (points[7] + points[9]) / 2, points[28]])
    photo = np.zeros((140, 160, 3), np.uint8)
    wardrobe = Wardrobe([f"{tmp_path / 'mask.png'},{tmp_path / 'mask.csv'}"], ["own"], ["plain"])
    worn = wearing.wear(photo, points, *wardrobe.picture(wardrobe.choose(0, "a")), match_light=False)
    x, y = np.rint(goals[:4].mean(axis=0)).astype(int)
    assert tuple(worn[y, x]) == (200, 100, 50)


@pytest.mark.parametrize(
    ("anchors", "message"),
    [
        ("", "header landmark,x,y"),
        ("point,x,y\n1,2,3\n", "header landmark,x,y"),
        ("landmark,x,y\n68,2,3\n", "0 to 67"),
        ("landmark,x,y\n1,2\n", "0 to 67"),
        ("landmark,x,y\n1,2,nan\n", "0 to 67"),
        ("landmark,x,y\nq,2,3\n", "0 to 67"),
        ("landmark,x,y\n1,2,3\n2,4,5\n", "three anchors"),
        ("landmark,x,y\n1,2,3\n2,4,5\n3,4,5\n", "three anchors"),
    ],
)
def test_wrong_anchors_are_refused(tmp_path, anchors, message):
    write_png(tmp_path / "mask.png", np.full((8, 8, 4), 255, np.uint8))
    (tmp_path / "mask.csv").write_text(anchors)
    with pytest.raises(ValueError, match=message):
        read_mask_picture(tmp_path / "mask.png")


def test_pictures_that_are_no_mask_picture_are_refused(tmp_path):
    for picture in (
        np.full((8, 8, 3), 255, np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.full((8, 8, 4), 255, np.uint16),
    ):
        cv2.imwrite(str(tmp_path / "mask.png"), picture)
        with pytest.raises(ValueError, match=r"mask\.png: expected"):
            read_mask_picture(tmp_path / "mask.png")
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (50_000).to_bytes(4, "big") * 2
    (tmp_path / "mask.png").write_bytes(header + bytes(20))
    with pytest.raises(ValueError, match=r"mask\.png: expected"):
        read_mask_picture(tmp_path / "mask.png")


def test_mask_follows_real_turned_heads(real_photos):
    """MTCNN's five points of LFW photos of 125 people: the nose is covered, the eyes are free."""
    listed = {}
    for line in (real_photos / "lfw/protocol/deepfunneled_mtcnn_5pts.csv").read_text().splitlines():
        path, _, numbers = line.split(",", 2)
        listed[path.rsplit("/", 1)[-1]] = np.array(numbers.split()[:10], float).reshape(5, 2)
    photos = sorted((real_photos / "lfw/raw250_deepfunneled_sample").rglob("*.jpg"))
    assert len(photos) > 100
    for index, photo in enumerate(photos):
        five = listed[photo.name]
        mask_picture = drawing.draw(drawing.names()[index % len(drawing.names())])
        alpha = mask_picture.put_on(colours.dress(mask_picture), landmarks.from_points5(five), (250, 250))[..., 3]
        x, y = np.rint(five).astype(int).T
        assert alpha[y[:2], x[:2]].max() == 0
        assert alpha[y[2], x[2]] > 0.99
