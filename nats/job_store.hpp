#pragma once

#include "actors/actors.hpp"

#include <memory>
#include <vector>

namespace aiops {

struct job_store_config {
  /// Deadline of each request to the key-value store, which keeps its own.
  caf::timespan request_timeout = std::chrono::seconds{5};
};

/// INTERNAL: what the key-value store tells its listeners.
using internal_job_store_actor
  = job_store_actor::extend_with<kv_listener_actor>;

/// Knows under which keys the training book and the history live, and as what
/// JSON. What cannot be read counts as empty, with the revision that it has:
/// the next write replaces it, and nobody is locked out.
class job_store_state {
public:
  static inline const char* name = "job-store";

  explicit job_store_state(internal_job_store_actor::pointer self);

  internal_job_store_actor::behavior_type
  make_behavior(kv_store_actor kv_store, const job_store_config& cfg);

private:
  /// A job on its way into the history.
  struct archival;

  using archival_ptr = std::shared_ptr<archival>;

  /// A list that is being read.
  struct listing;

  using listing_ptr = std::shared_ptr<listing>;

  // -- the book ---------------------------------------------------------------

  caf::result<stored_book> get_book();

  caf::result<uint64_t> put_book(const training_book& x, uint64_t expected);

  void follow(const kv_entry& entry);

  void add_listener(const book_listener_actor& listener);

  // -- the history ------------------------------------------------------------

  caf::result<void> archive(const training_job& x);

  void look_at_slot(const archival_ptr& x);

  void fill_slot(const archival_ptr& x, const kv_entry& slot);

  caf::result<job_summaries> list();

  /// Reads jobs until enough reads are in flight, or answers.
  void read_jobs(const listing_ptr& x);

  caf::result<training_job> get_job(uint64_t number);

  // -- hooks ------------------------------------------------------------------

  caf::result<uint64_t> get_told();

  caf::result<void> put_told(uint64_t number);

  // -- member variables -------------------------------------------------------

  internal_job_store_actor::pointer self_;
  kv_store_actor kv_store_;
  /// Only guards against the death of the key-value store.
  caf::timespan patience_{0};
  std::vector<book_listener_actor> listeners_;
  /// What they know.
  std::optional<stored_book> book_;
};

internal_job_store_actor::behavior_type
job_store(internal_job_store_actor::stateful_pointer<job_store_state> self,
          kv_store_actor kv_store, const job_store_config& cfg);

} // namespace aiops
