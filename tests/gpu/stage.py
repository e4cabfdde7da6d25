"""What a stage is, and what it works with.

A stage is a file in `stages/` with a docstring whose first line says what it does and

  ORDER = 30        its place in a run: what is worth most per minute comes first
  MINUTES = 4.0     its time limit
  def run(job): ... with a `Job`

`run` raises `Skip(reason)` where it has nothing to work with. Whatever else it raises is recorded as its failure, with the end
of the last command's output; the other stages go on.
"""
import os
import signal
import statistics
import subprocess
import time


class Skip(Exception):
    """Nothing to do here, with the reason."""


class Failed(Exception):
    """A command ended badly or too late."""

    def __init__(self, what, output=""):
        super().__init__(what)
        self.tail = output.splitlines()[-30:]


def summary(values, unit):
    """A figure of several values."""
    return {"unit": unit, "median": statistics.median(values), "min": min(values), "max": max(values), "values": list(values)}


def end_session(process):
    """Ends a process that was started with a session of its own, and what it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class Job:
    """One stage under way: runs commands within its time, and collects checks, figures and what was left out."""

    def __init__(self, places, options, folder, log, seconds):
        self.places, self.options, self.folder, self.log = places, options, folder, log
        self.end = time.monotonic() + seconds
        self.checks, self.figures, self.left_out, self.notes, self.tail = [], {}, [], {}, []

    def left(self):
        return self.end - time.monotonic()

    def check(self, name, holds, detail=""):
        self.checks.append({"name": name, "ok": bool(holds), **({"detail": str(detail)} if detail else {})})
        self.log.write(f"  {'ok' if holds else 'FAILED'}: {name}{': ' + str(detail) if detail else ''}\n")
        return bool(holds)

    def figure(self, name, values, unit, at_least=None, **more):
        """A figure of one or several values. A target that is missed is said, and is no failure: a failure is what is wrong."""
        made = {**summary(values if isinstance(values, (list, tuple)) else [values], unit), **more}
        if at_least is not None and not self.options.tiny:
            made["target"] = {"at_least": at_least, "met": made["median"] >= at_least}
        self.figures[name] = made
        self.log.write(f"  {name}: {made['median']:.6g} {unit} ({made['min']:.6g} to {made['max']:.6g}){' ' + str(made['target']) if 'target' in made else ''}\n")

    def leave_out(self, what, why):
        """A part of the stage that cannot be done here."""
        self.left_out.append({"what": what, "why": str(why)})
        self.log.write(f"  left out: {what}: {why}\n")

    def part(self, name, work):
        """A part whose failure is a failed check, and leaves the stage's other parts alone. Its value, or None."""
        try:
            return work()
        except Skip as skip:
            self.leave_out(name, skip)
        except Exception as error:  # noqa: BLE001: whatever it is, the other parts go on
            self.check(name, False, f"{type(error).__name__}: {error}")
            self.tail = getattr(error, "tail", []) or self.tail
        return None

    def run(self, command, seconds=120.0, environment=None, code=0, folder=None):
        """The output (both streams) of a command that must end with `code` within `seconds` and within the stage's time."""
        command = [str(part) for part in command]
        limit = min(seconds, self.left())
        if limit < 0.5:
            raise Failed(f"no time left for: {' '.join(command)}", "\n".join(self.tail))
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=folder or self.folder, env=self.places.environment(environment), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
        try:
            output, late = process.communicate(timeout=limit)[0], False
        except subprocess.TimeoutExpired:
            end_session(process)
            output, late = process.communicate()[0], True
        lines = output.splitlines()
        self.tail = lines[-30:]
        # Stages may run commands side by side: a command's lines stay together.
        self.log.write("\n    ".join([f"  $ {' '.join(command)}", *lines[-400:], f"ended with {process.returncode} after {time.monotonic() - start:.1f} s"]) + "\n")
        if late:
            raise Failed(f"not done after {limit:.0f} s: {' '.join(command)}", output)
        if process.returncode != code:
            raise Failed(f"ended with {process.returncode} where {code} was expected: {' '.join(command)}", output)
        return output

    def lockstep(self, *arguments, ranks=0, **options):
        """`run` of the program, under mpirun where `ranks` is given."""
        return self.run([*self.places.mpirun(ranks), self.places.lockstep, *arguments], **options)
