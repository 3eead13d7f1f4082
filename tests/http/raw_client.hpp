#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace aiops::test {

/// An answer as it was received.
struct raw_response {
  /// 0 if the connection closed before the answer was complete.
  int status = 0;
  /// Names in lower case.
  std::map<std::string, std::string> headers;
  std::string body;

  std::string header(const std::string& name) const;
};

/// A client that sends arbitrary bytes.
class raw_client {
public:
  explicit raw_client(uint16_t port, int receive_buffer = 0);

  ~raw_client();

  raw_client(raw_client&& other) noexcept;

  raw_client(const raw_client&) = delete;

  /// Sends everything. Returns false if the server has closed the connection.
  bool send(std::string_view bytes);

  /// Ends the sending direction of the connection.
  void finish();

  /// Receives an answer; without a body if `head` is set.
  raw_response receive(bool head = false);

  raw_response ask(std::string_view bytes);

  /// Receives the bytes before the next blank line of a stream of events; empty
  /// at the end of the stream or after 10 s.
  std::string receive_block();

  /// Receives until the server closes the connection.
  std::string receive_all();

  /// Whether the server closes the connection within the time, without sending
  /// anything.
  bool closed_within(std::chrono::milliseconds limit);

private:
  /// Receives bytes into the buffer. Returns false at the end.
  bool fill(std::chrono::milliseconds limit);

  int fd_;
  std::string buffer_;
};

} // namespace aiops::test
