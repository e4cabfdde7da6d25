#include "launch/bench/device_rates.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "distributed/thread_communicator.h"
#include "launch/bench/device_report.h"
#include "launch/bench/median.h"

namespace lockstep {
namespace {

std::unique_ptr<Backend> cpu(int threads) {
  Value options{Value::Data(Value::Table{})};
  options.set("cpu", Value::boolean(true));
  options.set("threads", Value::integer(threads));
  return make_plug_in<Backend>(options);
}

constexpr RateSettings kShort{.seconds = 0.001, .largest_copy = std::size_t{1} << 20, .copy_sizes = 3, .product_size = 32};

TEST(MedianTest, IsTheMiddleOrTheMeanOfTheMiddleTwo) {
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
}

TEST(DeviceRatesTest, MeasuresCopiesAndProductsOfEveryPrecision) {
  for (const int threads : {1, 2}) {
    const auto backend = cpu(threads);
    const auto precisions = backend->precisions();
    const DeviceRates rates = measure_device(*backend, kShort, precisions);
    ASSERT_EQ(rates.copies.size(), 3u);
    EXPECT_EQ(rates.copies[0].bytes, std::size_t{1} << 20);
    EXPECT_EQ(rates.copies[1].bytes, std::size_t{1} << 18);
    EXPECT_EQ(rates.copies[2].bytes, std::size_t{1} << 16);
    for (const auto& copy : rates.copies) EXPECT_GT(copy.bytes_per_second, 1e8);
    EXPECT_EQ(rates.copy(), rates.copies[0].bytes_per_second);
    EXPECT_FALSE(rates.to_device) << "the host is the device";
    ASSERT_EQ(rates.products.size(), precisions.size());
    for (const Precision precision : precisions) EXPECT_GT(rates.product(precision), 1e6);
    EXPECT_NE(rates.products[0].kernel.find("onednn"), std::string::npos) << rates.products[0].kernel;
    EXPECT_EQ(rates.product(Precision::f16), 0);
  }
}

TEST(DeviceReportTest, JsonHasTheRatesOfEveryRank) {
  std::string text, json;
  run_ranks(2, [&](Communicator& ranks) {
    const auto backend = cpu(1);
    const DeviceRates rates{.copies = {{4096, 2e9 + ranks.rank()}}, .product_size = 64, .products = {{Precision::f32, 3e12, "mine"}}};
    const DeviceReport report = make_device_report(rates, *backend, ranks);
    if (ranks.rank() == 1) text = report.text, json = report.json;
  });
  const auto read = nlohmann::json::parse(json);
  EXPECT_EQ(read["schema"], 1);
  EXPECT_EQ(read["kind"], "bench device");
  EXPECT_EQ(read["ranks"], 2);
  ASSERT_EQ(read["devices"].size(), 2u);
  for (int rank = 0; rank < 2; ++rank) {
    const auto& device = read["devices"][static_cast<std::size_t>(rank)];
    EXPECT_EQ(device["rank"], rank);
    EXPECT_EQ(device["copies"][0]["bytes"], 4096);
    EXPECT_EQ(device["copies"][0]["bytes_per_second"], 2e9 + rank);
    EXPECT_TRUE(device["to_device"].is_null());
    EXPECT_EQ(device["products"][0]["precision"], "f32");
    EXPECT_EQ(device["products"][0]["operations_per_second"], 3e12);
    EXPECT_EQ(device["products"][0]["kernel"], "mine");
  }
  EXPECT_NE(text.find("copy, read + written  4.0 KiB"), std::string::npos) << text;
  EXPECT_NE(text.find("3.000"), std::string::npos) << text;
  EXPECT_NE(text.find("rank  host"), std::string::npos) << text;
}

}  // namespace
}  // namespace lockstep
