#pragma once

#include "actors/actors.hpp"
#include "base/subscribers.hpp"
#include "base/uuid.hpp"
#include "nats/training/book_line.hpp"
#include "nats/training/watchlist_values.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace aiops::nats {

struct book_record;

struct job_store_config {
  /// Deadline of each request to the key-value store, which has its own.
  caf::timespan request_timeout = std::chrono::seconds{5};
  /// If the store shows an older book than before for this long, it has lost
  /// the newer one.
  caf::timespan stale_read_time = std::chrono::seconds{10};
  /// Makes the id of each write.
  std::function<std::string()> make_id = make_uuid;
};

/// INTERNAL: messages of the key-value store to its listeners, and time to read
/// a book again that seems to be older than before.
using internal_job_store_actor = job_store_actor::extend_with<
  kv_listener_actor>::extend<caf::replies_to<tick_atom>::with<void>>;

/// Defines the keys and the JSON of the training book, the watchlists and the
/// history. An unreadable book is kept under another key and counts as empty,
/// with its revision: the next write replaces it, and the training stays
/// usable.
class job_store_state {
public:
  static inline const char* name = "job-store";

  explicit job_store_state(internal_job_store_actor::pointer self);

  internal_job_store_actor::behavior_type
  make_behavior(kv_store_actor kv_store, const job_store_config& cfg);

private:
  using on_book = std::function<void(const caf::expected<stored_book>&)>;
  using on_number = std::function<void(const caf::expected<uint64_t>&)>;
  using on_done = std::function<void(const caf::error&)>;

  /// A job that is being written to the history.
  struct archival;

  using archival_ptr = std::shared_ptr<archival>;

  /// A list that is being read.
  struct listing;

  using listing_ptr = std::shared_ptr<listing>;

  // -- the book ---------------------------------------------------------------

  caf::result<stored_book> get_book();

  /// Makes a book of the value of its key.
  void understand(const kv_entry& entry, on_book then);

  /// Without a readable book: reads the last number of a job from the history
  /// and the hooks.
  /// @param removed As `kv_entry` says.
  void begin_anew(stored_book book, uint64_t removed, on_book then);

  void find_last_number(on_number then);

  /// Stores the last number outside of the book, too.
  void note_number(uint64_t number);

  /// Replaces the stored number by a higher one.
  void write_number(uint64_t number, int tries);

  /// Keeps the ids of a write, because the next write contains them.
  void remember(uint64_t revision, const std::string& write,
                const std::string& origin);

  /// Forgets the write of a revision whose book is unreadable.
  void forget(uint64_t revision);

  void keep_aside(const kv_entry& entry);

  /// Reads the lists that the book refers to and inserts them.
  void fill(book_record record, const kv_entry& entry, on_book then);

  caf::result<uint64_t> put_book(const training_book& x, uint64_t expected);

  /// The lists of a book that are not known to be in the store.
  std::vector<backend_submission>
  missing_lists(const training_book& book) const;

  void store_lists(std::vector<backend_submission> lists, on_done then);

  void write_book(const training_book& x, uint64_t expected,
                  caf::typed_response_promise<uint64_t> promise);

  void follow(const kv_entry& entry);

  /// Sends the book to the listeners unless it is older than what they have.
  void publish(const stored_book& book);

  /// The losses to report with a book: none if it may be an old copy.
  uint64_t losses_at(uint64_t revision) const;

  /// The store shows an older book than before: it may be an old copy.
  void suspect();

  void look_again();

  /// Sends the current book to the listeners.
  void read_again();

  /// Reads again after a list of the book was missing, because an old copy of
  /// the store may have answered.
  void look_for_lists();

  void report_loss(uint64_t revision);

  void add_listener(const book_listener_actor& listener);

  // -- watchlists -------------------------------------------------------------

  caf::result<void> put_list(const backend_submission& x);

  caf::result<std::vector<std::string>> list_ids();

  caf::result<void> remove_list(const std::string& id);

  // -- the history ------------------------------------------------------------

  caf::result<void> archive(const training_job& x);

  void look_at_slot(const archival_ptr& x);

  void fill_slot(const archival_ptr& x, const kv_entry& slot);

  void write_slot(const archival_ptr& x, uint64_t expected);

  caf::result<job_summaries> list();

  /// Reads jobs until enough reads are in flight, or answers.
  void read_jobs(const listing_ptr& x);

  caf::result<training_job> get_job(uint64_t number);

  void fill_job(training_job job,
                caf::typed_response_promise<training_job> promise);

  // -- hooks ------------------------------------------------------------------

  caf::result<uint64_t> get_told();

  caf::result<void> put_told(uint64_t number);

  // -- member variables -------------------------------------------------------

  internal_job_store_actor::pointer self_;
  kv_store_actor kv_store_;
  job_store_config cfg_;
  /// Deadline of each request to the key-value store.
  caf::timespan patience_{0};
  subscribers<book_listener_actor> listeners_;
  /// The book that the listeners have.
  std::optional<stored_book> book_;
  watchlist_values lists_;
  book_line line_;
  struct known_slot {
    uint64_t number = 0;
    uint64_t revision = 0;
  };

  /// The slots of the history that this replica wrote, by key.
  std::map<std::string, known_slot> slots_;
  /// Writes of all replicas, in the order in which they were seen, because
  /// after a loss the last one may have the lowest revision. The next write
  /// contains the id of the one that it replaces.
  struct known_write {
    uint64_t revision = 0;
    std::string id;
    std::string origin;
  };

  std::deque<known_write> known_writes_;
  /// How often the store was seen to have lost writes.
  uint64_t losses_ = 0;
  /// The conditions for the first write of a book: the removal of the previous
  /// book that it replaces, and the number that was read after that.
  struct beginning {
    uint64_t removed = 0;
    uint64_t number = 0;
  };

  std::optional<beginning> beginning_;
  /// The last number that was read when there was no book; logged once.
  uint64_t recovered_ = 0;
  /// The last number that was stored outside of the book.
  uint64_t noted_ = 0;
  uint64_t noted_revision_ = 0;
  /// Revision of the unreadable book that was kept under another key.
  uint64_t kept_aside_ = 0;
  /// An older book than this revision was shown, the first time at `since`.
  struct suspicion {
    uint64_t newest = 0;
    caf::actor_clock::time_point since;
  };

  std::optional<suspicion> gone_back_;
  /// Whether a timer is set to read lists again that seem to be lost.
  bool lists_missing_ = false;
};

internal_job_store_actor::behavior_type
job_store(internal_job_store_actor::stateful_pointer<job_store_state> self,
          kv_store_actor kv_store, const job_store_config& cfg);

} // namespace aiops::nats
