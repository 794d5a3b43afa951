// CPU time, user and system, of all threads of a process.
#pragma once

namespace skerry::load {

/// To the nanosecond, by the process clock of POSIX. 0 for process 0 and when it is not there.
double cpu_seconds_of(int process);

double own_cpu_seconds();

}  // namespace skerry::load
