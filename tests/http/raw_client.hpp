#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace aiops::test {

/// An answer as it came over the wire.
struct raw_response {
  /// 0 when the connection closed before an answer was whole.
  int status = 0;
  /// Names in lower case.
  std::map<std::string, std::string> headers;
  std::string body;

  std::string header(const std::string& name) const;
};

/// A client that sends whatever it is told to, byte by byte if it has to.
class raw_client {
public:
  explicit raw_client(uint16_t port, int receive_buffer = 0);

  ~raw_client();

  raw_client(raw_client&& other) noexcept;

  raw_client(const raw_client&) = delete;

  /// Sends everything. Answers false when the other side closed.
  bool send(std::string_view bytes);

  /// Says that nothing more will be sent.
  void finish();

  /// Receives an answer; one without a body if it belongs to a HEAD.
  raw_response receive(bool head = false);

  raw_response ask(std::string_view bytes);

  /// Receives up to and without the next blank line of a stream of events;
  /// empty at the end of the stream or of our patience.
  std::string receive_block();

  /// Receives until the other side closes.
  std::string receive_all();

  /// Whether the other side closes within the time, sending nothing more.
  bool closed_within(std::chrono::milliseconds limit);

private:
  /// Receives some bytes into the buffer; false at the end.
  bool fill(std::chrono::milliseconds limit);

  int fd_;
  std::string buffer_;
};

} // namespace aiops::test
