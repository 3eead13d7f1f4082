#pragma once

#include "actors/messages.hpp"
#include "actors/training/training_book.hpp"

#include <string>

/// @file
/// The invariants of the training, which hold whatever fails, and the checks
/// for those that one change of the book can break. The simulation, the random
/// tests and every debug build check them.
///
/// 1. A 200 means that the backend acknowledged the watchlist and the store has
///    it.
/// 2. A refused submission never becomes the training or the watchlist.
/// 3. A watchlist that was never sent never completes.
/// 4. A job takes effect at the backend once, even if requests are repeated.
/// 5. Once store and backend can be reached, any running replica settles every
///    submission within `--train-timeout` and `settling_margin`.
/// 6. Acknowledged progress is never lost and never given to another job.
/// 7. Numbers of jobs never repeat.
/// 8. DELETE then POST works from every state.
/// 9. When the store returns to an older state, that is detected and reported.
/// 10. When faults stop, all replicas, the buckets that other programs read,
/// and
///     the backend agree.

namespace aiops {

/// How much longer than `--train-timeout` the outcome of a submission may take:
/// the last write of its own replica, and the next check of the others.
inline constexpr std::chrono::seconds settling_margin{30};

/// Describes the invariant that a later book breaks; empty when it breaks none.
/// Books in between may be missing.
std::string broken_invariant(const training_book& before,
                             const training_book& after);

/// The same for two books that a replica knew one after the other.
std::string broken_sequence(const stored_book& before,
                            const stored_book& after);

/// The same for two consecutive books.
std::string broken_step(const training_book& before,
                        const training_book& after);

} // namespace aiops
