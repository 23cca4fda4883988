package io.virtnvme.chaos.mutation;

import java.util.List;
import java.util.Locale;

/** The layers of tests, the cheapest first, and what of each is tried for a fault. */
enum Layer {
  /** Exhaustive crash cuts and unit tests. */
  CUTS,
  /** Seeds of the simulation, and every store of every session change. */
  SIMULATION,
  /** Tests with real processes, as a fault's entry names them. */
  PROCESSES;

  private static final List<String> JOURNAL =
      List.of(
          "LayoutTest",
          "RecoveryTableTest",
          "CounterOrderTest",
          "SplitInflightTest",
          "PackedInflightTest",
          "CrashCutTest",
          "NvmeJournalLayoutTest",
          "NvmeRecoveryTableTest",
          "NvmeJournalTest",
          "NvmeCrashCutTest");
  private static final List<String> RINGS =
      List.of(
          "StartTest", "NotificationTest", "InPlaceRecoveryTest", "MemoryUpdateTest", "CrashTest");
  private static final List<String> CONTROLLERS =
      List.of(
          "NvmeQueueTest",
          "NvmeCrashTest",
          "ControllerQueueTest",
          "ControllerCrashTest",
          "WholeCrashTest");
  private static final List<String> SESSIONS =
      List.of(
          "SessionStandbyTest",
          "SessionRecordTest",
          "SessionRingTest",
          "SessionMemoryTest",
          "RepeatedMessageTest",
          "MasterLinkTest",
          "SessionsTest",
          "ReactorTest");
  private static final List<String> MASTER =
      List.of("ReplyRecoveryTest", "RelayTest", "MasterTakeoverTest");
  private static final List<String> SEGMENTS = List.of("SegmentTest");
  private static final List<String> SYSTEM =
      List.of("RobustMutexTest", "FdMessageTest", "AddressSpaceKeeperTest");
  private static final List<String> SIMULATED =
      List.of(
          "SimulationTest#shouldStaySoundWhereItOnceWasNot(long)",
          "SimulationTest#shouldSurviveDeathAtEveryStoreOfEveryChange(boolean)");

  /** As the list of faults and the report write it. */
  String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  static Layer of(final String label) {
    return valueOf(label.toUpperCase(Locale.ROOT));
  }

  /**
   * Tests of this layer that are tried for the fault, in this order: simple names of classes, or a
   * method of one as {@code Class#method(type)}.
   */
  List<List<String>> tests(final Mutation mutation) {
    return switch (this) {
      case CUTS -> cuts(mutation.file());
      case SIMULATION ->
          mutation.module().equals("master") || mutation.file().contains("/ipc/sys/")
              ? List.of()
              : List.of(SIMULATED);
      case PROCESSES -> mutation.processTests().stream().map(List::of).toList();
    };
  }

  private static List<List<String>> cuts(final String file) {
    if (file.startsWith("shared-journal/")) {
      return List.of(JOURNAL, RINGS);
    }
    if (file.startsWith("master/")) {
      return List.of(MASTER);
    }
    if (file.contains("/slave/virtqueue/") || file.contains("/ipc/virtio/")) {
      return List.of(RINGS);
    }
    if (file.contains("/slave/nvme/") || file.endsWith("/reactor/ReactorQueues.java")) {
      return List.of(CONTROLLERS);
    }
    if (file.startsWith("slave/")) {
      return List.of(SESSIONS);
    }
    return file.contains("/ipc/sys/") ? List.of(SYSTEM) : List.of(SEGMENTS, SESSIONS, MASTER);
  }
}
