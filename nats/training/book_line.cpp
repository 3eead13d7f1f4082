#include "nats/training/book_line.hpp"

#include <algorithm>

namespace aiops::nats {

namespace {

/// Maximum of writes that are kept.
constexpr size_t max_writes = 64;

/// How much the clocks of the servers of a cluster may differ.
constexpr std::chrono::seconds clock_tolerance{2};

} // namespace

void book_line::add(const book_write& x) {
  line_.push_back(x);
  if (line_.size() > max_writes)
    line_.pop_front();
}

bool book_line::older(const book_write& x) const {
  return !line_.empty() && x.revision < line_.back().revision;
}

void book_line::give_way(const book_write& x) {
  line_.clear();
  if (x.revision != 0)
    add(x);
}

bool book_line::saw(const book_write& x) {
  auto same = std::find_if(line_.begin(), line_.end(),
                           [&](auto& y) { return y.revision == x.revision; });
  if (same != line_.end()) {
    if (same->id == x.id) {
      same->created = x.created;
      return false;
    }
    give_way(x);
    return true;
  }
  if (older(x)) {
    // An old copy contains nothing that was stored later.
    auto& last = line_.back();
    auto later = last.created.time_since_epoch().count() != 0
                 && x.created > last.created + clock_tolerance;
    if (later)
      give_way(x);
    return later;
  }
  auto parent = std::find_if(line_.begin(), line_.end(), [&](auto& y) {
    return !y.id.empty() && y.id == x.previous;
  });
  // An unknown write shows nothing: the message about it may have been lost.
  auto fork = (parent != line_.end() && parent + 1 != line_.end())
              || (!line_.empty() && x.number < line_.back().number);
  // A replica starts a book when there is none. Over an unreadable book this is
  // not another loss.
  auto begun_anew = !x.origin.empty() && !line_.empty()
                    && !line_.back().id.empty()
                    && x.origin != line_.back().origin;
  fork = fork || begun_anew;
  if (fork)
    line_.clear();
  add(x);
  return fork;
}

bool book_line::wrote(const book_write& x, bool went_back) {
  auto known = std::any_of(line_.begin(), line_.end(),
                           [&](auto& y) { return y.id == x.id; });
  // It may be read before the answer arrives.
  if (known)
    return false;
  if (!went_back)
    return saw(x);
  give_way(x);
  return true;
}

} // namespace aiops::nats
