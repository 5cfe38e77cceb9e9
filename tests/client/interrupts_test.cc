#include "client/predictctl/interrupts.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

TEST(InterruptsTest, WithoutACallTheyAreForTheProcess) {
  Interrupts interrupts;
  EXPECT_FALSE(interrupts.Interrupt());
  EXPECT_FALSE(interrupts.terminated());
}

TEST(InterruptsTest, TheFirstCancelsTheSecondDoesNotWait) {
  Interrupts interrupts;
  const auto control = std::make_shared<CallControl>();
  interrupts.CancelOnInterrupt(control);
  EXPECT_TRUE(interrupts.Interrupt());
  EXPECT_TRUE(control->cancelled());
  EXPECT_FALSE(interrupts.Interrupt());
}

TEST(InterruptsTest, OnlyTheCallsThatTheyAreAimedAtAreCancelled) {
  Interrupts interrupts;
  const auto first = std::make_shared<CallControl>();
  const auto second = std::make_shared<CallControl>();
  interrupts.CancelOnInterrupt(first);
  interrupts.CancelOnInterrupt(second);
  EXPECT_TRUE(interrupts.Interrupt());
  EXPECT_FALSE(first->cancelled());
  EXPECT_TRUE(second->cancelled());
  interrupts.CancelOnInterrupt(nullptr);
  EXPECT_FALSE(interrupts.Interrupt());
}

TEST(InterruptsTest, AtAPromptTheyClearTheLine) {
  Interrupts interrupts;
  int cleared = 0;
  interrupts.DropPromptOnInterrupt([&cleared] { ++cleared; });
  EXPECT_TRUE(interrupts.Interrupt());
  EXPECT_TRUE(interrupts.Interrupt());
  EXPECT_EQ(cleared, 2);
  EXPECT_FALSE(interrupts.Terminate()) << "a prompt has nothing to wait for";
  interrupts.CancelOnInterrupt(nullptr);
  EXPECT_FALSE(interrupts.Interrupt());
  EXPECT_EQ(cleared, 2);
}

TEST(InterruptsTest, TerminateIsRemembered) {
  Interrupts interrupts;
  const auto control = std::make_shared<CallControl>();
  interrupts.CancelOnInterrupt(control);
  EXPECT_TRUE(interrupts.Terminate());
  EXPECT_TRUE(control->cancelled());
  interrupts.CancelOnInterrupt(nullptr);
  EXPECT_TRUE(interrupts.terminated());
}

}  // namespace
}  // namespace predictd
