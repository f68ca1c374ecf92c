"""A picture that is made again and then rejected stays published; the record tells both."""

import urllib.parse

import pictures
from tintype import QUICK_RECIPE, encode_key, wait_until

KEY = "some folder/ü +1.jpg"
PATH = f"/img/{encode_key(KEY)}/small.jpg"

# Limits that the picture does not keep, and what it is rejected as.
LOWERED = [
    ("max_pixels = 1000", "too_many_pixels"),
    ("max_bytes = 100", "too_many_bytes"),
]


def reprocess(server, key=KEY):
    answer = server.api("POST", "/image/reprocess?key=" + urllib.parse.quote(key.encode(), safe=""))
    assert answer.status == 202, answer


def restart(server, limits):
    assert server.stop() == 0
    server.config.write_text(QUICK_RECIPE + f"\n[limits]\n{limits}\n")
    server.start()


def seen(server):
    """All that a visitor sees, but for the date of the answer."""
    answer = server.get(PATH)
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "date"}
    return answer.status, headers, answer.body


def test_a_lowered_limit_takes_no_picture_away(new_server):
    server = new_server(config=QUICK_RECIPE).start()
    server.put(KEY, pictures.small_jpeg(1))
    before = server.wait_ready(KEY)
    picture = seen(server)
    assert picture[0] == 200
    revision = 0
    for limits, code in LOWERED:
        restart(server, limits)
        for _ in range(2):
            revision += 1
            reprocess(server)

            def attempt():
                told = server.image(KEY).get("last_attempt")
                return told if told and int(told["order"].split("-")[1], 16) == revision else None

            told = wait_until(attempt, "the attempt is told", server.log)
            assert (told["outcome"], told["rejection"]["code"]) == ("rejected", code)
            assert seen(server) == picture
            after = server.image(KEY)
            del after["last_attempt"]
            assert after == before
            listed = server.api("GET", "/images?status=ready").json()["items"]
            assert [image["key"] for image in listed] == [KEY]
            page = server.get("/admin", Authorization=f"Bearer {server.token}").body.decode()
            assert f"was rejected, {code}: " in page
        # An upload is another picture than the one before.
        server.put("new.jpg", pictures.small_jpeg(2))
        assert server.wait_settled("new.jpg")["status"] == "rejected"
        assert server.get("/img/new.jpg/small.jpg").status == 422

    restart(server, "max_pixels = 1000000")
    reprocess(server)
    wait_until(lambda: "last_attempt" not in server.image(KEY), "the picture is made again", server.log)
    assert server.image(KEY)["published"]["version"] == before["published"]["version"]
    assert seen(server)[2] == picture[2]

    restart(server, "max_pixels = 1000")
    server.put(KEY, pictures.small_jpeg(3))
    wait_until(lambda: server.image(KEY)["status"] == "rejected", "a new upload replaces it", server.log)
    assert server.get(PATH).status == 422
    assert server.stop() == 0
