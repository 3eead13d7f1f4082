#include "actors/training/training_mirror.hpp"

#include "actors/training/planted_bug.hpp"
#include "base/error.hpp"
#include "base/log.hpp"

#include <utility>

namespace aiops {

namespace {

constexpr auto name = "training-jobs";

/// Whether the backend may still get the list that is stored.
bool undecided(const training_book& book) {
  auto& job = book.training;
  return book.submission
         || (job && !job->adopted && !ended(job->state)
             && job->number > book.watchlist.number);
}

} // namespace

void training_mirror::init(environment env) {
  env_ = std::move(env);
}

training_mirror::status training_mirror::status_of(const training_book& book) {
  return forgotten(book) ? std::nullopt : status{book.model};
}

void training_mirror::follow(const stored_book& book) {
  target_ = status_of(book.value);
  ours_ = book.revision != 0
          && (book.value.training || !book.value.watchlist.job_id.empty());
}

void training_mirror::follow(const stored_book& book,
                             std::function<void()> then) {
  follow(book);
  waiting_.push_back(std::move(then));
  write();
}

void training_mirror::write() {
  if (writing_)
    return;
  if (shown_ == target_) {
    for (auto& then : std::exchange(waiting_, {}))
      then();
    return;
  }
  writing_ = true;
  auto done = [this, what = *target_] {
    writing_ = false;
    wrote_ = true;
    shown_ = what;
    write();
  };
  // The book has the status, so nothing is lost.
  auto failed = [this](const caf::error& err) {
    writing_ = false;
    shown_.reset();
    log::warning(name, "cannot store the model's status for other programs",
                 {{"reason", text_of(err)}});
    for (auto& then : std::exchange(waiting_, {}))
      then();
  };
  if (*target_)
    env_.self
      ->request(env_.backend, env_.request_timeout, put_atom_v, **target_)
      .then(done, failed);
  else
    env_.self->request(env_.backend, env_.request_timeout, delete_atom_v)
      .then(done, failed);
}

void training_mirror::compare() {
  if (comparing_ || writing_ || !target_ || !(ours_ || wrote_))
    return;
  comparing_ = true;
  auto failed = [this](const caf::error& err) {
    comparing_ = false;
    if (err)
      log::debug(name, "cannot compare what other programs read",
                 {{"reason", text_of(err)}});
  };
  // The known book may be old, and another replica may have written a newer
  // status.
  env_.read([this, failed](const caf::expected<stored_book>& book) {
    if (!book)
      return failed(book.error());
    follow(*book);
    compare_with_store(failed);
  });
}

void training_mirror::compare_with_store(on_done failed) {
  env_.self->request(env_.backend, env_.request_timeout, get_atom_v)
    .then(
      [this, failed](const stored_model& found) {
        // The protocol may not store the text. Then only the status that this
        // replica wrote is known.
        auto same_text = [&] {
          auto& text = found.value.status;
          return text.empty() && !found.with_status
                   ? shown_ == target_
                   : text == (*target_)->status;
        };
        auto equal = *target_
                       ? found.revision != 0
                           && found.value.statistics == (*target_)->statistics
                           && same_text()
                       : found.revision == 0;
        if (!writing_ && !planted(planted_bug::mirror_not_compared_at_start)) {
          shown_ = equal ? target_ : std::nullopt;
          write();
        }
        replace_watchlist(found, false, failed, 1);
      },
      failed);
}

void training_mirror::forget(on_done then) {
  env_.self->request(env_.backend, env_.request_timeout, delete_atom_v)
    .then([this, then] { correct_watchlist(true, then); }, then);
}

void training_mirror::correct_watchlist(bool all, on_done then, int tries) {
  env_.self->request(env_.backend, env_.request_timeout, get_atom_v)
    .then(
      [=, this](const stored_model& found) {
        replace_watchlist(found, all, then, tries);
      },
      then);
}

void training_mirror::replace_watchlist(const stored_model& found, bool all,
                                        on_done then, int tries) {
  // A submission is in the book before its watchlist is stored, so this book
  // has the job of the stored list.
  env_.read([=, this](const caf::expected<stored_book>& book) {
    if (!book)
      return then(book.error());
    auto& list = book->value.watchlist;
    auto& id = found.watchlist_job;
    auto unfenced = all && planted(planted_bug::unfenced_removal);
    auto removed = unfenced || forgotten(book->value);
    auto nothing = found.watchlist_revision == 0;
    auto none = removed || list.job_id.empty();
    auto correct = none ? nothing : id == list.job_id && !nothing;
    // An unknown id may be that of a submission that an old copy of the store
    // does not show yet.
    auto removable = nothing || unfenced || env_.submitted(id)
                     || (all && removed && id.empty());
    auto open = undecided(book->value) && !unfenced;
    if (open || correct || !removable)
      return then({});
    backend_submission right;
    if (!none)
      right = {list.job_id, list.workloads};
    env_.self
      ->request(env_.backend, env_.request_timeout, put_atom_v,
                std::move(right), found.watchlist_revision)
      .then([then] { then({}); },
            [=, this](const caf::error& err) {
              if (code_of(err) == ec::conflict && tries > 1)
                correct_watchlist(all, then, tries - 1);
              else
                then(err);
            });
  });
}

} // namespace aiops
