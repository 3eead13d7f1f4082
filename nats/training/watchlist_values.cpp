#include "nats/training/watchlist_values.hpp"

#include "base/log.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

#include <algorithm>

namespace aiops::nats {

watchlist_values::watchlist_values(reader read, writer write)
  : read_(std::move(read)), write_(std::move(write)) {
  // nop
}

void watchlist_values::store(const std::string& id,
                             const shared_workloads& list, on_done then) {
  if (id.empty() || known_.contains(id))
    return then({});
  write_(subjects::watchlist_key(id), encode_workloads(list),
         [this, id, list, then](const caf::error& err) {
           if (!err)
             known_.emplace(id, list);
           then(err);
         });
}

void watchlist_values::load(std::vector<std::string> ids, on_done then) {
  ++loading_;
  load_next(std::move(ids), [this, then](const caf::error& err) {
    then(err);
    --loading_;
  });
}

void watchlist_values::load_next(std::vector<std::string> ids, on_done then) {
  while (!ids.empty() && knows(ids.back()))
    ids.pop_back();
  if (ids.empty())
    return then({});
  auto id = std::move(ids.back());
  ids.pop_back();
  read_(subjects::watchlist_key(id),
        [this, id, ids = std::move(ids),
         then](const caf::expected<std::optional<std::string>>& got) {
          if (!got)
            return then(got.error());
          understand(id, *got);
          load_next(ids, then);
        });
}

void watchlist_values::understand(const std::string& id,
                                  const std::optional<std::string>& value) {
  auto list = value ? decode_workloads(*value) : std::nullopt;
  if (list) {
    known_.insert_or_assign(id, normalize(std::move(*list)));
    lost_.erase(id);
  } else if (lost_.insert(id).second) {
    log::error("job-store", "a watchlist is lost or unreadable",
               {{"key", subjects::watchlist_key(id)}});
  }
}

shared_workloads watchlist_values::list(const std::string& id) const {
  auto i = known_.find(id);
  return i != known_.end() ? i->second : shared_workloads{};
}

workload_diff watchlist_values::changes(const std::string& base,
                                        const std::string& list_id) {
  if (!knows(base) || !knows(list_id))
    return diff(list(base), list(list_id));
  auto [i, added] = changes_.try_emplace({base, list_id});
  if (added)
    i->second = diff(list(base), list(list_id));
  return i->second;
}

bool watchlist_values::lost(const std::set<std::string>& ids) const {
  return std::any_of(ids.begin(), ids.end(), [this](auto& id) {
    return lost_.contains(id) && !knows(id);
  });
}

void watchlist_values::keep(const std::set<std::string>& ids) {
  if (loading_ > 0)
    return;
  std::erase_if(known_, [&](auto& x) { return !ids.contains(x.first); });
  std::erase_if(changes_, [&](auto& x) {
    return !knows(x.first.first) || !knows(x.first.second);
  });
}

void watchlist_values::clear() {
  known_.clear();
  changes_.clear();
}

void watchlist_values::store_missing(const std::set<std::string>& there) {
  // A copy, because the writer may answer at once.
  auto lists = known_;
  for (auto& [id, list] : lists) {
    if (there.contains(id))
      continue;
    write_(subjects::watchlist_key(id), encode_workloads(list),
           [this, id = id](const caf::error& err) {
             // The next use reads it from the store.
             if (err)
               removed(id);
           });
  }
}

void watchlist_values::removed(const std::string& id) {
  known_.erase(id);
  std::erase_if(changes_, [&](auto& x) {
    return x.first.first == id || x.first.second == id;
  });
}

} // namespace aiops::nats
