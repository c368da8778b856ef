from keras_face.config.nearest import unknown


def test_a_name_that_is_near_comes_first_and_all_after_it():
    told = unknown("loss", "arcfce", ["cosface", "arcface"])
    assert told == "unknown loss 'arcfce'; did you mean 'arcface'? known are cosface, arcface"


def test_a_name_that_is_near_none_gets_the_list_alone():
    assert unknown("encoding", "webp", ("jpg", "png")) == "unknown encoding 'webp'; known are jpg, png"
