"""What an archive holds of a data set: the facts that `drpnet download` and the paper's Table 2 need."""

from dataclasses import dataclass, field

from drpnet.errors import InputError


@dataclass(frozen=True)
class ArchiveEntry:
    """An entry of EMPIAR: where its files are, how many there should be, how they were taken.

    Globs are below the entry's folder; `*` stays within a folder, `**/` stands for any folders. Folders of this
    side are below the data set's root.
    """

    entry: int
    """EMPIAR's number."""
    micrographs: str
    """Glob of the micrographs; they go where `dataset.micrographs` looks for them."""
    coordinates: dict[str, str] = field(default_factory=dict)
    """Folder of this side -> glob of its coordinate files, whose last `*` is the micrograph's stem."""
    micrograph_count: int = 0
    """How many micrographs there should be (Table 2); 0: not known."""
    micrograph_shape: list[int] = field(default_factory=list)
    """Height and width in px."""
    particle_counts: dict[str, int] = field(default_factory=dict)
    """Folder of this side -> how many particles its coordinate files should hold."""
    camera: str = ""
    """As Table 2 names it; recorded, not used."""
    voltage_kv: float = 0.0
    """Recorded, not used."""
    defocus_range: list[float] = field(default_factory=list)
    """Micrometres of underfocus; recorded, not used."""
    checksums: str = ""
    """List of MD5 sums that comes with drpnet; empty: the archive publishes none."""
    url: str = "https://ftp.ebi.ac.uk/empiar/world_availability"
    """Where the archive's folders are; a mirror may stand here."""

    def __post_init__(self) -> None:
        """Raise InputError for values that cannot work."""
        if self.entry < 1:
            raise InputError(f"archive.entry is {self.entry}; give EMPIAR's number, such as 10017")
        if not self.url.startswith(("https://", "http://")):
            raise InputError(f"archive.url is {self.url!r}; give an address that starts with https://")
        for glob in (self.micrographs, *self.coordinates.values()):
            if "*" not in glob.rpartition("/")[2]:
                raise InputError(f"archive: {glob!r} names no files; end it in a pattern such as data/*.mrc")
        unknown = sorted(set(self.particle_counts) - set(self.coordinates))
        if unknown:
            raise InputError(
                f"archive.particle_counts names {unknown[0]!r}, which is no folder of archive.coordinates; correct it"
            )

    @property
    def page(self) -> str:
        """The address of the entry's folder, with a slash at its end."""
        return f"{self.url.rstrip('/')}/{self.entry}/"
