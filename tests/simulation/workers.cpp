#include "tests/simulation/workers.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <sstream>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace aiops::simulation {

namespace {

/// The results of one process, which it sends to the parent as lines that begin
/// with a keyword.
class process {
public:
  process(int out, const std::function<run_result(uint64_t)>& run)
    : out_(fdopen(out, "w")), run_(run) {
    // nop
  }

  /// Runs every `step`-th seed.
  void run(uint64_t first, uint64_t last, uint64_t step, bool keep_going) {
    for (auto seed = first; seed < last; seed += step) {
      line("begin " + std::to_string(seed));
      auto result = run_(seed);
      add(result);
      if (!result.failure)
        continue;
      line("fail " + std::to_string(seed) + ' ' + result.failure->invariant);
      if (!keep_going)
        break;
    }
    report();
  }

private:
  void line(const std::string& text) {
    std::fputs((text + '\n').c_str(), out_);
    std::fflush(out_);
  }

  void add(const run_result& x) {
    ++sum_.runs;
    sum_.virtual_ms += static_cast<uint64_t>(x.virtual_time.count());
    sum_.steps += x.steps;
    for (size_t i = 0; i < fault_count; ++i)
      sum_.faults[i] += x.faults[i];
    sum_.pairs.insert(x.pairs.begin(), x.pairs.end());
  }

  void report() {
    auto cpu = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    line("sum " + std::to_string(sum_.runs) + ' '
         + std::to_string(sum_.virtual_ms) + ' ' + std::to_string(sum_.steps)
         + ' ' + std::to_string(cpu));
    for (size_t i = 0; i < fault_count; ++i)
      line("fault " + std::to_string(i) + ' ' + std::to_string(sum_.faults[i]));
    for (auto& [kind, request] : sum_.pairs)
      line("pair " + std::to_string(static_cast<size_t>(kind)) + ' '
           + std::to_string(static_cast<size_t>(request)));
  }

  FILE* out_;
  const std::function<run_result(uint64_t)>& run_;
  totals sum_;
};

/// Reads the lines that a process wrote.
class reader {
public:
  explicit reader(totals& sum) : sum_(sum) {
    // nop
  }

  void read(const std::string& text) {
    std::istringstream in{text};
    std::string word;
    in >> word;
    if (word == "begin")
      in >> current_;
    else if (word == "fail")
      read_failure(in);
    else if (word == "sum")
      read_sum(in);
    else if (word == "fault")
      read_fault(in);
    else if (word == "pair")
      read_pair(in);
  }

  /// The seed at which it crashed, if it did.
  void end() {
    if (!finished_)
      sum_.crashed.push_back(current_);
  }

private:
  void read_failure(std::istream& in) {
    uint64_t seed = 0;
    std::string invariant;
    in >> seed;
    std::getline(in >> std::ws, invariant);
    sum_.failures.emplace_back(seed, invariant);
  }

  void read_sum(std::istream& in) {
    uint64_t runs = 0;
    uint64_t time = 0;
    uint64_t steps = 0;
    double cpu = 0;
    in >> runs >> time >> steps >> cpu;
    sum_.runs += runs;
    sum_.virtual_ms += time;
    sum_.steps += steps;
    sum_.cpu_seconds += cpu;
    finished_ = true;
  }

  void read_fault(std::istream& in) {
    size_t kind = 0;
    uint64_t count = 0;
    in >> kind >> count;
    if (kind < fault_count)
      sum_.faults[kind] += count;
  }

  void read_pair(std::istream& in) {
    size_t kind = 0;
    size_t request = 0;
    in >> kind >> request;
    sum_.pairs.emplace(static_cast<fault>(kind),
                       static_cast<request_kind>(request));
  }

  totals& sum_;
  uint64_t current_ = 0;
  bool finished_ = false;
};

void read_all(int fd, totals& sum) {
  reader lines{sum};
  auto in = fdopen(fd, "r");
  char* line = nullptr;
  size_t size = 0;
  while (getline(&line, &size, in) > 0)
    lines.read(line);
  lines.end();
  std::free(line);
  std::fclose(in);
}

/// Without `keep_going`, each process ends at its own first failure. So all
/// seeds of the last block that precede the first failure were run.
totals run_block(uint64_t jobs, uint64_t first, uint64_t last, bool keep_going,
                 const std::function<run_result(uint64_t)>& run) {
  totals result;
  std::vector<std::pair<pid_t, int>> children;
  for (uint64_t i = 0; i < jobs && first + i < last; ++i) {
    int ends[2];
    if (pipe(ends) != 0)
      break;
    std::fflush(stdout);
    auto pid = fork();
    if (pid == 0) {
      close(ends[0]);
      process{ends[1], run}.run(first + i, last, jobs, keep_going);
      _exit(0);
    }
    close(ends[1]);
    children.emplace_back(pid, ends[0]);
  }
  for (auto& [pid, fd] : children) {
    read_all(fd, result);
    waitpid(pid, nullptr, 0);
  }
  return result;
}

void add(totals& sum, const totals& x) {
  sum.runs += x.runs;
  sum.virtual_ms += x.virtual_ms;
  sum.steps += x.steps;
  sum.cpu_seconds += x.cpu_seconds;
  for (size_t i = 0; i < fault_count; ++i)
    sum.faults[i] += x.faults[i];
  sum.pairs.insert(x.pairs.begin(), x.pairs.end());
  sum.failures.insert(sum.failures.end(), x.failures.begin(), x.failures.end());
  sum.crashed.insert(sum.crashed.end(), x.crashed.begin(), x.crashed.end());
}

} // namespace

totals run_in_processes(uint64_t jobs, uint64_t first, uint64_t count,
                        bool keep_going,
                        const std::function<run_result(uint64_t)>& run) {
  if (jobs == 0)
    jobs = std::max(1u, std::thread::hardware_concurrency());
  totals result;
  // In blocks, so that the run ends soon after a failure.
  auto block = keep_going ? count : std::max<uint64_t>(jobs * 8, 64);
  for (auto last = first + count; first < last; first += block) {
    add(result,
        run_block(jobs, first, std::min(last, first + block), keep_going, run));
    if (!keep_going && !result.failures.empty())
      break;
  }
  std::sort(result.failures.begin(), result.failures.end());
  return result;
}

} // namespace aiops::simulation
