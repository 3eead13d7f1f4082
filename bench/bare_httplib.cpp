#include <httplib.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>

/// @file
/// The reference for the gateway: a cpp-httplib server that answers every GET
/// with the same bytes.

namespace {

/// With httplib's backlog of 5, most of 64 clients that connect at once wait
/// for a second or more, which is not what we measure.
class bare_server : public httplib::Server {
public:
  void raise_backlog() {
    ::listen(svr_sock_, 512);
  }
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: bench_bare_httplib FILE\n";
    return 2;
  }
  std::ifstream in{argv[1]};
  const std::string body{std::istreambuf_iterator<char>{in}, {}};
  bare_server server;
  server.new_task_queue = [] { return new httplib::ThreadPool{80}; };
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(std::numeric_limits<size_t>::max());
  server.set_keep_alive_timeout(60);
  server.Get("/.*", [&](const httplib::Request&, httplib::Response& res) {
    res.set_content(body, "application/json; charset=utf-8");
  });
  auto port = server.bind_to_any_port("127.0.0.1");
  server.raise_backlog();
  std::cerr << "listening on http://127.0.0.1:" << port << std::endl;
  return server.listen_after_bind() ? 0 : 1;
}
