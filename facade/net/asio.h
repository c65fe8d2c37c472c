// The only place that includes Boost.Asio's core. <utility> first: Boost 1.74 forgets it under C++20.
#pragma once

#include <utility>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace ficus {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

}  // namespace ficus
