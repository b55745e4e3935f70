import hashlib
import threading

import numpy as np
import pytest

from drpnet.download import client as client_module
from drpnet.download.client import Client, Fault, Stopped, brief
from drpnet.download.transfer import Damaged, begun_bytes, check_file, fetch
from drpnet.errors import InputError
from drpnet.io.micrographs import write_micrograph

CONTENT = np.random.default_rng(5).bytes(300_000)


@pytest.fixture
def got(archive, tmp_path):
    """Fetch the archive's /e/a.bin to a.bin; what came is counted."""
    archive.files["/e/a.bin"] = CONTENT

    class Got:
        target = tmp_path / "sub" / "a.bin"
        client = Client(pause=0.001)
        counted = 0

        def count(self, number):
            self.counted += number

        def __call__(self, check=lambda path: None):
            return fetch(self.client, f"{archive.url}/e/a.bin", self.target, check, self.count)

        def is_whole(self):
            beside = sorted(path.name for path in self.target.parent.iterdir())
            return self.target.read_bytes() == archive.files["/e/a.bin"] and beside == ["a.bin"]

    return Got()


def test_a_plain_file(archive, got):
    told = got()
    assert got.is_whole() and got.counted == len(CONTENT) == told["size"]
    assert told["etag"] and told["modified"] and archive.asked("a.bin") == [None]


def test_a_lost_connection_goes_on_where_it_broke(archive, got):
    archive.faults["/e/a.bin"] = [100_000, 50_001, 1]
    got()
    assert got.is_whole() and got.counted == len(CONTENT)
    assert archive.asked("a.bin") == [None, "bytes=100000-", "bytes=150001-", "bytes=150002-"]


def test_many_losses_that_each_bring_something_are_endured(archive, got):
    archive.faults["/e/a.bin"] = [10_000] * 25
    got()
    assert got.is_whole() and len(archive.asked("a.bin")) == 26


def test_a_later_call_goes_on_too(archive, got):
    archive.faults["/e/a.bin"] = [120_000] + [0] * client_module.ATTEMPTS
    with pytest.raises(InputError, match="a.bin: the connection"):
        got()
    assert not got.target.exists() and begun_bytes(got.target) == 120_000
    got()
    assert got.is_whole() and archive.asked("a.bin")[-1] == "bytes=120000-"


def test_a_server_without_ranges_begins_anew(archive, got):
    archive.ranges = False
    archive.faults["/e/a.bin"] = [100_000]
    got()
    assert got.is_whole() and got.counted == len(CONTENT)


def test_a_server_that_marks_no_version_begins_anew(archive, got):
    archive.marks = ()
    archive.faults["/e/a.bin"] = [100_000]
    got()
    assert got.is_whole() and archive.asked("a.bin") == [None, "bytes=100000-", None]


@pytest.mark.parametrize("marks", [("ETag",), ("Last-Modified",), ("ETag", "Last-Modified")])
@pytest.mark.parametrize("size", [300_000, 200_000, 100_000])
def test_a_file_that_changed_meanwhile_begins_anew(archive, got, marks, size):
    archive.marks = marks
    archive.faults["/e/a.bin"] = [120_000] + [0] * client_module.ATTEMPTS
    with pytest.raises(InputError):
        got()
    archive.versions["/e/a.bin"] += 1
    archive.files["/e/a.bin"] = bytes(reversed(CONTENT))[:size]
    got()
    assert got.is_whole() and got.counted == size


def test_a_mirror_with_another_tag_but_the_same_date_goes_on(archive, got, monkeypatch):
    archive.faults["/e/a.bin"] = [100_000]
    told, count = archive.told, iter(range(9))
    archive.told = lambda path: {**told(path), "ETag": f'"mirror-{next(count)}"'}
    got()
    assert got.is_whole() and archive.asked("a.bin") == [None, "bytes=100000-"]


def test_everything_had_come_when_it_was_stopped(archive, got):
    archive.faults["/e/a.bin"] = []
    with pytest.raises(ZeroDivisionError):
        got(lambda path: 1 / 0)
    assert begun_bytes(got.target) == len(CONTENT)
    got()
    assert got.is_whole() and archive.asked("a.bin") == [None, f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("fault", ["error", "error 206"])
@pytest.mark.parametrize("begun", [0, 100_000])
def test_an_error_page_with_status_200_is_no_data(archive, got, fault, begun):
    archive.faults["/e/a.bin"] = [begun, fault, fault]
    got()
    assert got.is_whole()
    if begun:
        assert archive.asked("a.bin")[-1] == "bytes=100000-"


def test_error_pages_without_end(archive, got):
    archive.faults["/e/a.bin"] = ["error"] * client_module.ATTEMPTS
    with pytest.raises(InputError, match=r"a\.bin: the archive answered with an error page \(ConnectionClosed\).*again"):
        got()
    assert not got.target.exists() and list(got.target.parent.iterdir()) == []


def test_an_error_page_at_the_end_of_a_file(archive, got, error_body):
    archive.files["/e/a.bin"] = CONTENT + error_body
    with pytest.raises(InputError, match="what came is not the file: there is an error page in it"):
        got(lambda path: check_file(path, "a.bin", 0, None))
    assert list(got.target.parent.iterdir()) == []


def test_a_busy_server_is_asked_again(archive, got):
    archive.faults["/e/a.bin"] = ["503", "429", "500"]
    got()
    assert got.is_whole() and len(archive.asked("a.bin")) == 4


@pytest.mark.parametrize(("status", "what"), [("404", "is not there"), ("410", "is not there"), ("403", "is refused")])
def test_what_will_not_pass_is_said_at_once(archive, got, status, what):
    archive.faults["/e/a.bin"] = [status]
    with pytest.raises(InputError, match=rf"a\.bin {what} \(HTTP {status}\).*dataset\.archive"):
        got()
    assert len(archive.asked("a.bin")) == 1


def test_a_length_that_promises_more_than_comes(archive, got):
    """Each time 100 bytes more than there are: an end must be found."""
    archive.faults["/e/a.bin"] = ["longer"] * 99
    with pytest.raises(InputError, match="a.bin: the (connection|file at the archive)"):
        got()
    assert not got.target.exists() and len(archive.asked("a.bin")) < 15
    archive.faults["/e/a.bin"] = []
    got()
    assert got.is_whole()


def test_a_length_that_hides_the_end_is_found_by_the_index(archive, got):
    archive.faults["/e/a.bin"] = ["shorter"] * 9
    with pytest.raises(InputError, match="299900 bytes, the archive's index says 299990 to 300100"):
        got(lambda path: check_file(path, "a.bin", 299_990, 300_100))
    assert not got.target.exists() and begun_bytes(got.target) == 0


def test_a_length_that_hides_the_end_is_found_by_the_header(archive, got, tmp_path):
    write_micrograph(tmp_path / "m.mrc", np.random.default_rng(0).normal(size=(90, 80)), 1.5)
    archive.files["/e/a.bin"] = (tmp_path / "m.mrc").read_bytes()
    archive.faults["/e/a.bin"] = ["shorter"] * 2
    with pytest.raises(InputError, match="is cut short: 29724 bytes for an image of 29824"):
        got(lambda path: check_file(path, "m.mrc", 0, None))
    got(lambda path: check_file(path, "m.mrc", 0, None))
    assert got.is_whole()


def test_a_body_without_a_length(archive, got):
    archive.faults["/e/a.bin"] = ["no length"]
    assert got()["size"] == len(CONTENT) and got.is_whole()


def test_a_wrong_checksum_is_fetched_once_more(archive, got):
    good = hashlib.md5(CONTENT).hexdigest()
    spoilt, archive.files["/e/a.bin"] = CONTENT, CONTENT[:-1] + b"?"

    def check(path):
        try:
            check_file(path, "a.bin", 0, None, good)
        finally:
            archive.files["/e/a.bin"] = spoilt

    got(check)
    assert got.is_whole() and got.counted == len(CONTENT)
    archive.files["/e/a.bin"] = CONTENT[:-1] + b"?"
    got.target.unlink()
    with pytest.raises(InputError, match=f"its MD5 sum is .*, the archive publishes {good}"):
        got(lambda path: check_file(path, "a.bin", 0, None, good))
    assert not got.target.exists()


def test_an_older_file_stays_until_the_new_one_is_whole(archive, got):
    got.target.parent.mkdir()
    got.target.write_bytes(b"old")
    archive.faults["/e/a.bin"] = [5] + [0] * client_module.ATTEMPTS
    with pytest.raises(InputError):
        got()
    assert got.target.read_bytes() == b"old"
    got()
    assert got.is_whole()


def test_an_empty_file_is_a_file(archive, got):
    archive.files["/e/a.bin"] = b""
    assert got()["size"] == 0 and got.is_whole()


def test_stopping_leaves_what_came(archive, got):
    archive.piece, archive.delay = 10_000, 0.005
    got.count = lambda number: got.client.stop.set()
    with pytest.raises(Stopped):
        got()
    assert 0 < begun_bytes(got.target) < len(CONTENT)
    got.client = Client(stop=threading.Event(), pause=0.001)
    got.count = lambda number: None
    got()
    assert got.is_whole()


def test_nobody_listens(got, archive, monkeypatch):
    archive.url = "http://127.0.0.1:9"
    with pytest.raises(InputError, match=r"cannot reach 127\.0\.0\.1:9 \(.*refused\)"):
        got()


def test_a_silent_server_is_left(archive, got, monkeypatch):
    monkeypatch.setattr(client_module, "TIMEOUT", (1.0, 1.0))
    monkeypatch.setattr("drpnet.download.transfer.ATTEMPTS", 2)
    archive.faults["/e/a.bin"] = [50_000, "silent", "silent", "silent"]
    with pytest.raises(InputError, match="a.bin: the connection broke .*timed out"):
        got()
    assert begun_bytes(got.target) == 50_000


def test_check_file_takes_what_is_right(tmp_path):
    write_micrograph(tmp_path / "m.mrc", np.eye(50), 1.0)
    size = (tmp_path / "m.mrc").stat().st_size
    check_file(tmp_path / "m.mrc", "m.mrc", size, size, hashlib.md5((tmp_path / "m.mrc").read_bytes()).hexdigest())
    (tmp_path / "c").write_text("1 2\n")
    check_file(tmp_path / "c", "c.coord", 0, None)


@pytest.mark.parametrize("page", [b"<?xml version='1.0'?><Error/>", b"\n<!DOCTYPE html>x", b"<HTML>", b"<Error>"])
def test_check_file_knows_error_pages(tmp_path, page):
    (tmp_path / "c").write_bytes(page)
    with pytest.raises(Damaged, match="error page"):
        check_file(tmp_path / "c", "c.coord", 0, None)


def test_a_page_is_read_whole_or_not_at_all(archive):
    archive.files["/e/data/a.mrc"] = b"x"
    archive.faults["/e/data/"] = [60, "error", "503"]
    page = Client(pause=0.001).page(f"{archive.url}/e/data/")
    assert page.endswith("</html>\n") and len(archive.asked("/data/")) == 4
    archive.faults["/e/data/"] = ["error"] * 9
    with pytest.raises(InputError, match=r"/e/data/: .*error page \(ConnectionClosed\); check the connection"):
        Client(pause=0.001).page(f"{archive.url}/e/data/")


def test_a_proxy_of_the_environment_is_used(archive, got, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", archive.url)
    monkeypatch.setenv("http_proxy", archive.url)
    archive.files["/e/a.bin"] = CONTENT
    fetch(got.client, "http://archive.invalid/e/a.bin", got.target, lambda path: None, got.count)
    assert got.is_whole() and archive.hosts == {"archive.invalid"}


def test_the_reason_of_a_failure_is_one_short_line():
    assert brief(OSError("a\nb")) == "a b" and brief(ValueError()) == "ValueError"
    assert Fault("x").after is None
