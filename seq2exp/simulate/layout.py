"""Where everything lies: chromosomes, genes, N gaps, elements, blacklisted regions.

All coordinates are 0-based half-open; a TSS is the 0-based position of the first transcribed
base on either strand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from seq2exp.simulate.grammar import ACTIVE_MOTIF, DECOY_MOTIF
from seq2exp.simulate.settings import CAGE_HALF, Settings

ELEMENT_MARGIN = 50  # bp between an element and a promoter, exon or other element
SHORTEST_SPACING = 3_200  # room for the longest transcript with its introns


class Gene(NamedTuple):
    """A protein-coding gene with one transcript.

    ``exons`` are in genomic order; ``utr5``, ``cds`` (with the stop codon) and ``utr3`` are
    lengths in bp along the spliced transcript.
    """

    gene_id: str
    gene_name: str
    chrom: str
    tss: int
    strand: str
    exons: tuple[tuple[int, int], ...]
    utr5: int
    cds: int
    utr3: int


class Element(NamedTuple):
    """A distal element: ``kind`` active or decoy; ``open_in`` holds a flag a cell line."""

    name: str
    chrom: str
    start: int
    end: int
    kind: str
    motif: str
    copies: int
    open_in: tuple[bool, ...]


class Layout(NamedTuple):
    """The map of a simulated genome."""

    chrom_sizes: dict[str, int]
    genes: list[Gene]
    elements: list[Element]
    gaps: dict[str, list[tuple[int, int]]]
    blacklist: dict[str, list[tuple[int, int]]]
    taken: dict[str, np.ndarray]


def transcript_positions(gene: Gene) -> np.ndarray:
    """Return the genomic positions of the transcript's bases, 5' to 3'."""
    positions = np.concatenate([np.arange(start, end) for start, end in gene.exons])
    return positions if gene.strand == "+" else positions[::-1]


def blocks(positions: np.ndarray) -> list[tuple[int, int]]:
    """Return runs of consecutive positions as sorted (start, end) intervals."""
    ordered = np.sort(positions)
    edges = np.flatnonzero(np.diff(ordered) > 1)
    starts = ordered[np.concatenate([[0], edges + 1])]
    ends = ordered[np.concatenate([edges, [len(ordered) - 1]])] + 1
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]


def random_partition(total: int, parts: int, minimum: int, rng: np.random.Generator) -> list[int]:
    """Split ``total`` into ``parts`` random whole numbers of at least ``minimum``."""
    cuts = np.sort(rng.integers(0, total - parts * minimum + 1, size=parts - 1))
    bounds = np.concatenate([[0], cuts, [total - parts * minimum]])
    return [int(part) + minimum for part in np.diff(bounds)]


def tss_positions(
    count: int, settings: Settings, rng: np.random.Generator
) -> tuple[np.ndarray, list[str], int]:
    """Draw the TSSs and strands of one chromosome, and its length.

    The first and the last gene are so near the ends that their windows stick out. A close pair is
    divergent (- then +), so that neither transcript runs into its neighbour.
    """
    window, mean = settings.window, settings.spacing
    shortest = CAGE_HALF + 8
    margins = np.maximum(rng.uniform(0.1, 0.45, size=2) * window, shortest).astype(int)
    strands = ["+", *rng.choice(["+", "-"], size=count - 2), "-"]
    distances = np.maximum(rng.uniform(0.64, 1.36, count - 1) * mean * window, SHORTEST_SPACING)
    previous_close = True
    for i in range(1, count - 2):
        # Raised, for close pairs are never neighbours of each other.
        close = not previous_close and rng.random() < settings.close_pairs / (
            1 - settings.close_pairs
        )
        if close:
            distances[i] = max(rng.uniform(0.65, 0.95) * window, 600)
            strands[i : i + 2] = ["-", "+"]
        previous_close = close
    tss = np.cumsum([margins[0], *distances.astype(int)])
    return tss, [str(strand) for strand in strands], int(tss[-1] + margins[1])


def gene_structure(
    tss: int, strand: str, room: int, settings: Settings, rng: np.random.Generator
) -> tuple[tuple[tuple[int, int], ...], int, int, int]:
    """Draw exons and the lengths of UTR5, CDS and UTR3 of a gene of at most ``room`` bp."""
    utr5 = settings.promoter // 2 + int(rng.integers(5, 86))  # no coding base in a promoter
    cds = 3 * int(rng.integers(30, 91))
    utr3 = int(rng.integers(63, 201))
    spliced = utr5 + cds + utr3
    exon_count = int(rng.integers(1, 5))
    lengths = random_partition(spliced, exon_count, 30, rng)
    introns = exon_count - 1
    most = max(room - spliced, introns * 80)
    unspliced = int(rng.integers(introns * 80, most + 1))
    gaps = random_partition(unspliced, introns, 80, rng) if introns else []
    exons, start = [], 0
    for length, gap in zip(lengths, [*gaps, 0], strict=True):
        exons.append((start, start + length))
        start += length + gap
    if strand == "+":
        return tuple((tss + a, tss + b) for a, b in exons), utr5, cds, utr3
    return tuple((tss + 1 - b, tss + 1 - a) for a, b in reversed(exons)), utr5, cds, utr3


def _chromosome_genes(
    chrom: str, count: int, first: int, settings: Settings, rng: np.random.Generator
) -> tuple[list[Gene], int]:
    """Draw the genes of a chromosome, numbered from ``first``, and its length."""
    tss, strands, length = tss_positions(count, settings, rng)
    genes = []
    for i, (position, strand) in enumerate(zip(tss.tolist(), strands, strict=True)):
        neighbour = tss[i + 1] if strand == "+" else tss[i - 1]
        room = int(0.42 * abs(neighbour - position))
        structure = gene_structure(position, strand, room, settings, rng)
        number = first + i
        genes.append(Gene(f"SIMG{number:08d}", f"SIM{number}", chrom, position, strand, *structure))
    return genes, length


def _free_place(
    taken: np.ndarray,
    low: int,
    high: int,
    length: int,
    rng: np.random.Generator,
    *,
    apart: tuple[int, int] = (0, 0),
) -> tuple[int, int] | None:
    """Return a random free (start, end) in [low, high), outside ``apart``; None after 200 tries."""
    low, high = max(low, 0), min(high, len(taken))
    for start in rng.integers(low, max(high - length, low) + 1, size=200).tolist():
        padded = taken[max(start - ELEMENT_MARGIN, 0) : start + length + ELEMENT_MARGIN]
        is_apart = start >= apart[1] or start + length <= apart[0]
        if start + length <= high and is_apart and not padded.any():
            return start, start + length
    return None


def _place_beside_genes(
    genes: list[Gene],
    count: int,
    lengths: tuple[int, int],
    taken: np.ndarray,
    settings: Settings,
    rng: np.random.Generator,
) -> list[tuple[int, int]]:
    """Place ``count`` intervals in windows of random genes, and mark them as taken."""
    placed: list[tuple[int, int]] = []
    for index in rng.integers(0, len(genes), size=20 * count).tolist():
        tss = genes[index].tss
        length = int(rng.integers(lengths[0], lengths[1] + 1))
        place = _free_place(taken, tss - settings.half, tss + settings.half, length, rng)
        if place and len(placed) < count:
            taken[slice(*place)] = True
            placed.append(place)
    return sorted(placed)


def _draw_kinds(settings: Settings, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Yield (kind, motif) of the elements of one gene, in random order."""
    kinds = [("active", ACTIVE_MOTIF)] * int(rng.integers(0, settings.max_active + 1))
    for _ in range(int(rng.integers(0, settings.max_decoys + 1))):
        kinds.append(("decoy", DECOY_MOTIF if rng.random() < 0.5 else ""))
    for i in rng.permutation(len(kinds)):
        yield kinds[i]


def _draw_open(settings: Settings, rng: np.random.Generator) -> tuple[bool, ...]:
    """Draw in which cell lines an element is open: at least one."""
    while True:
        flags = rng.random(len(settings.cell_lines)) < settings.open_probability
        if flags.any():
            return tuple(bool(flag) for flag in flags)


def _place_elements(
    genes: list[Gene], taken: np.ndarray, settings: Settings, rng: np.random.Generator
) -> list[Element]:
    """Place the elements of one chromosome; one that finds no room is left out."""
    elements = []
    shortest, longest = settings.element_length
    for gene in genes:
        for kind, motif in _draw_kinds(settings, rng):
            length = int(rng.integers(shortest, longest + 1))
            low, high = gene.tss - settings.reach, gene.tss + settings.reach
            near = (gene.tss - settings.nearest, gene.tss + settings.nearest)
            place = _free_place(taken, low, high, length, rng, apart=near)
            if place is None:
                continue
            taken[slice(*place)] = True
            fewest, most = settings.motif_copies
            copies = int(rng.integers(fewest, most + 1)) if motif else 0
            is_open = _draw_open(settings, rng)
            elements.append(Element("", gene.chrom, *place, kind, motif, copies, is_open))
    return sorted(elements, key=lambda element: element.start)


def draw_layout(settings: Settings, rng: np.random.Generator) -> Layout:
    """Draw the map of a genome."""
    layout = Layout({}, [], [], {}, {}, {})
    scale = settings.window // 2_000 or 1
    for chrom, count in settings.chromosomes.items():
        genes, length = _chromosome_genes(chrom, count, len(layout.genes) + 1, settings, rng)
        taken = np.zeros(length, dtype=bool)
        for gene in genes:
            for start, end in gene.exons:
                taken[start:end] = True
            taken[gene.tss - settings.promoter // 2 : gene.tss + settings.promoter // 2] = True
        layout.chrom_sizes[chrom] = length
        layout.gaps[chrom] = _place_beside_genes(
            genes, settings.gaps_per_chromosome, (100, 500 * scale), taken, settings, rng
        )
        elements = _place_elements(genes, taken, settings, rng)
        first = len(layout.elements) + 1
        named = (e._replace(name=f"E{i:06d}") for i, e in enumerate(elements, start=first))
        layout.elements.extend(named)
        layout.blacklist[chrom] = _place_beside_genes(
            genes, settings.blacklisted_per_chromosome, (200, 400), taken, settings, rng
        )
        layout.genes.extend(genes)
        layout.taken[chrom] = taken
    return layout
