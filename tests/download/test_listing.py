import pytest

from drpnet.download.listing import Listed, list_entry, matching, parse_index

PAGE = "https://ftp.ebi.ac.uk/empiar/world_availability/10017/data/"
# As the archive's server writes it: sort links, an absolute parent, a folder, names cut in what is shown, rounded sizes.
APACHE = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html>
 <head>
  <title>Index of /empiar/world_availability/10017/data</title>
 </head>
 <body>
<h1>Index of /empiar/world_availability/10017/data</h1>
  <table>
   <tr><th valign="top"><img src="/icons/blank.gif" alt="[ICO]"></th><th><a href="?C=N;O=D">Name</a></th><th><a \
href="?C=M;O=A">Last modified</a></th><th><a href="?C=S;O=A">Size</a></th><th><a href="?C=D;O=A">Description</a></th></tr>
   <tr><th colspan="5"><hr></th></tr>
<tr><td valign="top"><img src="/icons/back.gif" alt="[PARENTDIR]"></td><td><a \
href="/empiar/world_availability/10017/">Parent Directory</a></td><td>&nbsp;</td><td align="right">  - </td><td>&nbsp;</td></tr>
<tr><td valign="top"><img src="/icons/folder.gif" alt="[DIR]"></td><td><a href="more%20files/">more files/</a></td><td \
align="right">2013-11-06 10:21  </td><td align="right">  - </td><td>&nbsp;</td></tr>
<tr><td valign="top"><img src="/icons/unknown.gif" alt="[   ]"></td><td><a \
href="Falcon_2012_06_12-14_33_35_0.coord">Falcon_2012_06_12-14_..&gt;</a></td><td align="right">2013-11-06 10:21  </td><td \
align="right">6.3K</td><td>&nbsp;</td></tr>
<tr><td valign="top"><img src="/icons/unknown.gif" alt="[   ]"></td><td><a \
href="Falcon_2012_06_12-14_33_35_0.mrc">Falcon_2012_06_12-14_..&gt;</a></td><td align="right">2013-11-06 10:21  </td><td \
align="right"> 64M</td><td>&nbsp;</td></tr>
   <tr><th colspan="5"><hr></th></tr>
</table>
</body></html>
"""
PLAIN = """<html><head><title>Index of /x/</title></head><body><h1>Index of /x/</h1><hr><pre><a href="../">../</a>
<a href="sub/">sub/</a>                       03-Mar-2015 12:34                   -
<a href="a.mrc">a.mrc</a>                     03-Mar-2015 12:34            67109888
<a href="b.coord">b.coord</a>                 03-Mar-2015 12:34                 512
</pre><hr></body></html>"""


def test_apaches_page_as_the_archive_serves_it():
    folders, files = parse_index(APACHE, PAGE)
    assert folders == ["more files"]
    coord, mrc = files
    assert [file.path.rpartition("_")[2] for file in files] == ["0.coord", "0.mrc"]
    assert mrc.least <= 67109888 <= mrc.most and mrc.most - mrc.least < 3e6
    assert coord.least < 6.3 * 1024 < coord.most and coord.most - coord.least < 300


def test_nginxs_page_tells_sizes_exactly():
    folders, files = parse_index(PLAIN, "https://x.org/x/")
    assert folders == ["sub"]
    assert files == [Listed("a.mrc", 67109888, 67109888), Listed("b.coord", 512, 512)]


@pytest.mark.parametrize("size", [0, 1, 972, 973, 1023, 1024, 9955, 10188, 996147, 67109888, 227824704, 9_000_000_000])
def test_the_true_size_lies_within_what_a_rounded_one_says(rounded, size):
    (file,) = parse_index(f'<a href="f">f</a></td><td>2015-03-03 12:34 </td><td> {rounded(size)}</td>', "http://x/e/")[1]
    assert file.least <= size <= file.most
    assert file.most - file.least <= (0 if size < 973 else 0.25 * size)


@pytest.mark.parametrize(
    "href",
    ["../a.mrc", "/etc/passwd", "//evil.org/a.mrc", "http://evil.org/a.mrc", "..%2Fa.mrc", "%2e%2e/", "a%5Cb.mrc", "a%00.mrc",
     "?C=N;O=D", "#top", "./", "sub/deep.mrc", "mailto:a@b.c", "javascript:x()"],
)  # fmt: skip
def test_links_that_lead_elsewhere_do_not_count(href):
    assert parse_index(f'<a href="{href}">a</a> 12K', "http://x/e/") == ([], [])


def test_names_are_decoded_and_named_once():
    html = '<a href="a%20b%2B.mrc"><img></a> <a href="./a%20b%2B.mrc">a b+.mrc</a> 2015-01-01 1.0K <a name="x">'
    assert [file.path for file in parse_index(html, "http://x/e/")[1]] == ["a b+.mrc"]


def pages(archive):
    """A reader of an archive that is only text, and the list of what was read."""
    read = []

    def reader(address):
        read.append(address)
        return archive[address]

    return reader, read


TREE = {
    "http://x/7/": '<a href="/">up</a><a href="data/">d</a><a href="notes/">n</a><a href="7.xml">x</a> 5',
    "http://x/7/data/": '<a href="/7/">up</a><a href="mics/">m</a><a href="Movies/">m</a><a href="r.txt">r</a> 7',
    "http://x/7/data/mics/": '<a href="a.mrc">a</a> 1K<a href="coords_1/">c</a>',
    "http://x/7/data/mics/coords_1/": '<a href="coordinate_a_bin3.dat">a</a> 10',
    "http://x/7/data/Movies/": '<a href="a_frames.mrc">a</a> 8G',
    "http://x/7/notes/": '<a href="n.txt">n</a> 1',
}


def test_only_folders_that_a_glob_reaches_are_read():
    reader, read = pages(TREE)
    found = list_entry("http://x/7/", ["data/mics/*.mrc"], reader)
    assert read == ["http://x/7/data/mics/"]
    assert [file.path for file in found] == ["data/mics/a.mrc"]
    reader, read = pages(TREE)
    found = list_entry("http://x/7/", ["data/mics/*.mrc", "data/*.txt", "data/m*/*.mrc"], reader)
    assert read == ["http://x/7/data/", "http://x/7/data/mics/"]
    assert [file.path for file in found] == ["data/mics/a.mrc", "data/r.txt"]


def test_any_folder_is_searched_for_two_stars():
    reader, read = pages(TREE)
    found = list_entry("http://x/7/", ["**/coords_1/coordinate_*_bin3.dat"], reader)
    assert sorted(read) == sorted(TREE)
    ((file, stem),) = matching("**/coords_1/coordinate_*_bin3.dat", found)
    assert (file.path, stem, file.least) == ("data/mics/coords_1/coordinate_a_bin3.dat", "a", 10)


@pytest.mark.parametrize(
    ("glob", "path", "stem"),
    [
        ("data/*.mrc", "data/a.b.mrc", "a.b"),
        ("data/*.mrc", "data/sub/a.mrc", None),
        ("data/*.mrc", "data/a.mrcs", None),
        ("data/*.mrc", "data/axmrc", None),
        ("**/c/x_*.dat", "c/x_1.dat", "1"),
        ("**/c/x_*.dat", "a/b/c/x_1.dat", "1"),
        ("**/c/x_*.dat", "a/bc/x_1.dat", None),
        ("data/*/m_*_*.mrc", "data/q/m_1_2_3.mrc", "3"),
    ],
)
def test_globs(glob, path, stem):
    assert [hit for _, hit in matching(glob, [Listed(path)])] == ([] if stem is None else [stem])
