#pragma once

#include "actors/messages.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace aiops::nats {

/// Watchlists in the store. Each is stored once, in a separate value that never
/// changes. Keeps the lists in memory that the book refers to, so that the cost
/// of a change of the book does not depend on their size.
class watchlist_values {
public:
  using on_done = std::function<void(const caf::error&)>;
  /// Gets the value of a key; nothing when there is none.
  using on_value
    = std::function<void(const caf::expected<std::optional<std::string>>&)>;
  using reader = std::function<void(const std::string& key, on_value then)>;
  using writer = std::function<void(const std::string& key, std::string value,
                                    on_done then)>;

  watchlist_values(reader read, writer write);

  /// Stores a list unless it is known to be stored.
  void store(const std::string& id, const shared_workloads& list, on_done then);

  /// Reads the lists with these ids that are not known. A list that is not in
  /// the store is lost: this is logged, and the list is empty.
  void load(std::vector<std::string> ids, on_done then);

  /// The list with this id; empty when it is not known.
  shared_workloads list(const std::string& id) const;

  /// The difference between two known lists.
  workload_diff changes(const std::string& base, const std::string& list);

  bool knows(const std::string& id) const {
    return id.empty() || known_.contains(id);
  }

  /// Whether one of these was not in the store when it was read last.
  bool lost(const std::set<std::string>& ids) const;

  /// Forgets all lists except these, unless some are being read. They stay in
  /// the store.
  void keep(const std::set<std::string>& ids);

  /// Forgets all: the store may have lost them.
  void clear();

  /// Stores the known lists again that are not in the store. The store lost
  /// them, and this may be their only copy.
  void store_missing(const std::set<std::string>& there);

  /// The list was removed from the store.
  void removed(const std::string& id);

private:
  void load_next(std::vector<std::string> ids, on_done then);

  void understand(const std::string& id,
                  const std::optional<std::string>& value);

  reader read_;
  writer write_;
  std::map<std::string, shared_workloads> known_;
  std::map<std::pair<std::string, std::string>, workload_diff> changes_;
  /// Reads in flight.
  size_t loading_ = 0;
  /// Lists that were logged as lost.
  std::set<std::string> lost_;
};

} // namespace aiops::nats
