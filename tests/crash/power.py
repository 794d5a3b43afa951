"""Power losses for a process that runs with the library of power/shim.cpp: what was not synced when
it was killed is taken away from its files.

    power = Power(tree, beside, library)
    process = Popen(..., env={**os.environ, **power.begin()})    # what is there now is on disk
    process.kill(); process.wait()
    power.cut(random)                                            # a Loss: what has gone

The model is the strict one of POSIX: bytes are safe once fsync or fdatasync of their file has come
back, entries of a directory (created, renamed, removed) once its own fsync has. Of what is not safe a
part may survive all the same: a first part of the unsynced bytes of each file, with a hole of zeros at
its end at times, and the first of the directory operations, in their order.
"""
import dataclasses
import os
import pathlib
import shutil

SECTOR = 512


@dataclasses.dataclass
class Loss:
    """What one power loss took."""
    bytes_lost: int = 0
    files_cut: int = 0
    files_torn: int = 0            # of these: a part of the tail survived
    operations_undone: int = 0
    operations_pending: int = 0
    undone: list = dataclasses.field(default_factory=list)     # as the journal names them


class Power:
    def __init__(self, tree, beside, library):
        self.tree, self.beside = pathlib.Path(tree), pathlib.Path(beside)
        self.library = pathlib.Path(library).resolve()
        if not self.library.exists():
            raise FileNotFoundError(f"{self.library} is not built")
        self.journal, self.kept = self.beside / "journal", self.beside / "kept"
        self.safe = {}                 # inode -> bytes on disk

    def begin(self):
        """All that is there is on disk. The environment for the process."""
        shutil.rmtree(self.beside, ignore_errors=True)
        self.kept.mkdir(parents=True)
        self.journal.touch()
        self.safe = {info.st_ino: info.st_size for _, info in self._files()}
        return {"LD_PRELOAD": str(self.library), "SKERRY_POWER_ROOT": str(self.tree),
                "SKERRY_POWER_JOURNAL": str(self.journal), "SKERRY_POWER_KEPT": str(self.kept)}

    def _files(self):
        for directory, _, names in os.walk(self.tree):
            for name in names:
                path = os.path.join(directory, name)
                info = os.lstat(path)
                if os.path.isfile(path) and not os.path.islink(path):
                    yield path, info

    def cut(self, random):
        """The process is dead. Takes away what the power loss takes."""
        loss, pending = Loss(), self._read_journal()
        loss.operations_pending = len(pending)
        # All, none, or some of them had reached the disk.
        survivors = random.choice((0, 0, len(pending), random.randint(0, len(pending))))
        for operation in reversed(pending[survivors:]):
            self._undo(operation)
            loss.operations_undone += 1
            loss.undone.append(" ".join([operation[0], *operation[1]]))
        for path, info in list(self._files()):
            self._cut_file(path, info, random, loss)
        return loss

    def _read_journal(self):
        """Directory operations that are not safe, in their order; fills `safe`."""
        pending = []
        for line in self.journal.read_text().splitlines():
            kind, *fields = line.split("\t")
            if kind == "S":
                inode, size = map(int, fields)
                self.safe[inode] = max(self.safe.get(inode, 0), size)
            elif kind == "T":
                inode, size = map(int, fields)
                self.safe[inode] = min(self.safe.get(inode, 0), size)
            elif kind == "D":
                for operation in pending:
                    operation[2].discard(fields[0])
                pending = [operation for operation in pending if operation[2]]
            elif kind == "!":
                raise RuntimeError(f"the power switch cannot take this back: {fields[0]}")
            else:
                paths = fields[:2] if kind == "R" else fields[:1]
                # The tree itself stands in a directory that nobody watches.
                above = {os.path.dirname(path) for path in paths if path != str(self.tree)}
                if above:
                    pending.append((kind, fields, above))
        return pending

    @staticmethod
    def _undo(operation):
        kind, fields, _ = operation
        path = fields[0]
        if kind in ("C", "L"):
            if os.path.lexists(path):
                os.unlink(path)
        elif kind == "M":
            shutil.rmtree(path, ignore_errors=True)
        elif kind == "X":
            os.makedirs(path, exist_ok=True)
        elif kind == "U":
            if os.path.lexists(fields[1]) and not os.path.lexists(path):
                os.rename(fields[1], path)
        elif kind == "R":
            _, to, inode, kept = fields
            if os.path.lexists(to) and os.lstat(to).st_ino == int(inode):
                os.rename(to, path)
                if kept != "-":
                    os.rename(kept, to)

    def _cut_file(self, path, info, random, loss):
        safe = min(self.safe.get(info.st_ino, 0), info.st_size)
        unsafe = info.st_size - safe
        if unsafe == 0:
            return
        # Everything goes, a random part, or a part that ends with a hole of zeros.
        survives = random.choice((0, 0, random.randint(0, unsafe), random.randint(0, unsafe)))
        hole = random.choice((0, 0, SECTOR, 8 * SECTOR)) if survives else 0
        with open(path, "r+b") as file:
            file.truncate(safe + survives)
            if hole:
                file.seek(max(safe, safe + survives - hole))
                file.write(bytes(min(hole, survives)))
        loss.bytes_lost += unsafe - max(0, survives - hole)
        loss.files_cut += 1
        loss.files_torn += survives > 0
