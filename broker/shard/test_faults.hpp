// TestFaults: known bugs that a test can plant, so that the simulator and the crash lab prove that
// they find them. All off; no configuration and no option of skerryd reaches them.
#pragma once

namespace skerry::shard {

struct TestFaults {
  /// PUBACK and PUBREC leave before what they promise is committed.
  bool acknowledge_before_commit = false;
  /// The packet id of an inbound QoS 2 message is not kept: a resend is a new message.
  bool forget_qos2_id = false;
  /// A take-over loses what waited for the session, at QoS 1 also what was in flight.
  bool drop_on_takeover = false;
};

}  // namespace skerry::shard
