#include "tests/simulation/shrink.hpp"

namespace aiops::simulation {

namespace {

class shrinker {
public:
  shrinker(plan best, std::string invariant, size_t budget)
    : best_(std::move(best)), invariant_(std::move(invariant)),
      budget_(budget) {
    // nop
  }

  plan run() {
    leave_out_kinds();
    leave_out_steps();
    leave_out_kinds();
    calm_down();
    return best_;
  }

private:
  /// Keeps a smaller plan if it still fails.
  bool accept(const plan& smaller) {
    if (budget_ == 0)
      return false;
    --budget_;
    auto got = world{smaller, false}.run();
    if (!got.failure || got.failure->invariant != invariant_)
      return false;
    best_ = smaller;
    return true;
  }

  void leave_out_kinds() {
    for (size_t i = 0; i < fault_count; ++i) {
      auto kind = static_cast<fault>(i);
      auto smaller = best_;
      smaller.rates[i] = 0;
      std::erase_if(smaller.steps, [&](auto& x) {
        return x.kind == step_kind::fault && x.what == kind;
      });
      if (smaller.rates != best_.rates
          || smaller.steps.size() != best_.steps.size())
        accept(smaller);
    }
  }

  void leave_out_steps() {
    for (auto part = best_.steps.size() / 2; part > 0; part /= 2)
      for (size_t first = 0; first < best_.steps.size();) {
        auto smaller = best_;
        auto begin = smaller.steps.begin() + static_cast<ptrdiff_t>(first);
        auto count = std::min(part, smaller.steps.size() - first);
        smaller.steps.erase(begin, begin + static_cast<ptrdiff_t>(count));
        if (!accept(smaller))
          first += part;
      }
  }

  /// Two replicas with equal clocks are easier to understand.
  void calm_down() {
    auto smaller = best_;
    smaller.world.clock_offsets = {};
    accept(smaller);
    smaller = best_;
    smaller.world.max_payload = setup{}.max_payload;
    smaller.world.name_length = setup{}.name_length;
    accept(smaller);
  }

  plan best_;
  std::string invariant_;
  size_t budget_;
};

} // namespace

plan shrink(plan failing, const std::string& invariant, size_t budget) {
  return shrinker{std::move(failing), invariant, budget}.run();
}

} // namespace aiops::simulation
