#pragma once

#include "actors/training/training_book.hpp"

#include <string>

/// @file
/// What has to hold of the training whatever fails, and the part of it that one
/// step of the book can show. The simulation, the random tests and every debug
/// build check it.
///
/// 1. A 200 means that the backend acknowledged the watchlist and the store has
///    it.
/// 2. A refused submission never becomes the training or the watchlist.
/// 3. What was never sent never completes.
/// 4. A job has one effect at the backend, whatever was repeated.
/// 5. Every submission is settled within `--train-timeout` and
/// `settling_margin`
///    once store and backend can be reached, by whichever replica is alive.
/// 6. Acknowledged progress is never lost and never given to another job.
/// 7. Numbers never repeat.
/// 8. DELETE then POST works from every state.
/// 9. A store that goes back is noticed and reported.
/// 10. When faults stop, all replicas, the buckets that others read, and the
///     backend agree.

namespace aiops {

/// How much longer than `--train-timeout` the outcome of a submission may take:
/// the last write of its own replica, and the next look of the others.
inline constexpr std::chrono::seconds settling_margin{30};

/// What a book that follows another one breaks, in words; empty when nothing.
/// Books in between may have been missed.
std::string broken_invariant(const training_book& before,
                             const training_book& after);

/// Likewise of the very next book.
std::string broken_step(const training_book& before,
                        const training_book& after);

} // namespace aiops
