#include "base/time.hpp"

#include <ctime>

namespace aiops {

namespace {

constexpr auto date_and_time = "%Y-%m-%dT%H:%M:%S";

} // namespace

std::string to_rfc3339(std::chrono::system_clock::time_point when) {
  using namespace std::chrono;
  auto since = floor<milliseconds>(when.time_since_epoch());
  auto whole = floor<seconds>(since);
  auto time = static_cast<time_t>(whole.count());
  tm parts{};
  gmtime_r(&time, &parts);
  char buffer[32];
  auto length = strftime(buffer, sizeof(buffer), date_and_time, &parts);
  auto fraction = std::to_string(1000 + (since - whole).count());
  return std::string(buffer, length) + '.' + fraction.substr(1) + 'Z';
}

std::chrono::system_clock::time_point from_rfc3339(const std::string& text) {
  tm parts{};
  auto rest = strptime(text.c_str(), date_and_time, &parts);
  if (rest == nullptr)
    return {};
  auto result = std::chrono::system_clock::from_time_t(timegm(&parts));
  // In whole numbers, so that a written time is read back unchanged.
  if (*rest == '.') {
    std::chrono::nanoseconds digit{100'000'000};
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, digit /= 10)
      result += digit * (*rest - '0');
  }
  return result;
}

} // namespace aiops
