package io.virtnvme.slave.session;

import static io.virtnvme.slave.session.SessionFixture.MEMORY_BYTES;
import static io.virtnvme.slave.session.SessionFixture.bare;
import static io.virtnvme.slave.session.SessionFixture.config;
import static io.virtnvme.slave.session.SessionFixture.u64;
import static io.virtnvme.slave.session.SessionFixture.vring;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** How a session is carried from slave to slave: record, version, descriptors. */
class SessionStandbyTest extends SessionTest {
  @Test
  void shouldStoreTheNewVersionBeforeAnyRingIsTouched() {
    start(SPLIT, 1);
    fixture.host.deferred = true;
    final long before = fixture.session.version();
    fixture.post(vring(VhostUserRequest.GET_VRING_BASE, 0, 0));
    assertEquals(before, fixture.session.version());
    assertEquals(before + 1, fixture.segment.applying());
    assertFalse(fixture.session.mayStart());
    assertEquals(1, fixture.host.pendingCount());
    final int answered = fixture.answers.size();
    fixture.host.runCallbacks();
    assertEquals(answered + 1, fixture.answers.size());
    assertEquals(before + 1, fixture.session.version());
    assertTrue(fixture.session.mayStart());
  }

  @Test
  void shouldKeepTheVersionWhenNothingChanges() {
    start(SPLIT, 1);
    final long version = fixture.session.version();
    for (final VhostUserRequest request :
        List.of(
            VhostUserRequest.GET_FEATURES,
            VhostUserRequest.GET_PROTOCOL_FEATURES,
            VhostUserRequest.GET_QUEUE_NUM,
            VhostUserRequest.GET_STATUS,
            VhostUserRequest.GET_MAX_MEM_SLOTS,
            VhostUserRequest.SET_OWNER)) {
      fixture.ok(bare(request));
    }
    fixture.ok(config(VhostUserRequest.GET_CONFIG, 0, 60, 0, 0));
    fixture.ok(u64(VhostUserRequest.SET_FEATURES, SPLIT));
    assertEquals(version, fixture.session.version());
    assertEquals(version, fixture.segment.applying());
    assertEquals(List.of("start 0"), fixture.host.calls);
  }

  @Test
  void shouldRemapOnlyWhatChangedOnAStandby() {
    start(SPLIT, 2);
    final SessionFixture standby = fixture.successor();
    final List<QueueSetup> before = standby.session.runnableQueues();
    assertEquals(2, before.size());
    fixture.ok(u64(VhostUserRequest.SET_VRING_CALL, 0), call);
    final Map<String, Integer> openBefore = SessionFixture.openFds();
    standby.load(fixture.session.version(), fixture.session.record(), fixture.masterFds);
    final List<QueueSetup> after = standby.session.runnableQueues();
    assertSame(before.get(0).memory(), after.get(0).memory());
    assertEquals(before.get(0).inflightAddress(), after.get(0).inflightAddress());
    after.forEach(FakeRingHost::assertUsable);
    assertTrue(standby.session.mayStart());
    assertTrue(standby.host.running.isEmpty());
    assertEquals(openBefore, SessionFixture.openFds());
    standby.session.startRings();
    assertEquals(2, standby.host.running.size());
    standby.session.startRings();
    assertEquals(List.of("start 0", "start 1"), standby.host.calls);
    standby.close();
  }

  @Test
  void shouldLoadFromWhatItHolds() {
    start(PACKED, 3);
    final int[] slots = fixture.session.heldSlots();
    final int[] fds = fixture.session.heldFds();
    assertEquals(
        fixture.masterFds.keySet().stream().toList(), Arrays.stream(slots).boxed().toList());
    final SessionFixture next = fixture.successor();
    assertArrayEquals(fixture.session.record(), next.session.record());
    for (final int fd : fds) {
      assertFalse(SessionFixture.isClosed(fd));
    }
    next.close();
  }

  @Test
  void shouldRefuseARecordThatDoesNotFitItsDescriptors() {
    start(SPLIT, 1);
    final SessionFixture next = fixture.unloaded();
    final Map<String, Integer> open = SessionFixture.openFds();
    final byte[] record = fixture.session.record();
    final int[] slots = fixture.session.heldSlots();
    for (int missing = 0; missing < slots.length; missing++) {
      final int[] fewer = without(slots, missing);
      final int[] fds = without(fixture.session.heldFds(), missing);
      final int[] copies = Arrays.stream(fds).map(Fds::duplicate).toArray();
      assertThrows(SessionException.class, () -> next.session.load(9, record, fewer, copies));
    }
    final int[] mixed =
        Arrays.stream(fixture.session.heldFds()).map(fd -> Fds.duplicate(kick)).toArray();
    assertThrows(SessionException.class, () -> next.session.load(9, record, slots, mixed));
    record[0] ^= 1;
    final int[] copies = Arrays.stream(fixture.session.heldFds()).map(Fds::duplicate).toArray();
    assertThrows(SessionException.class, () -> next.session.load(9, record, slots, copies));
    assertEquals(open, SessionFixture.openFds());
    assertEquals(0, next.session.version());
    next.close();
  }

  private static int[] without(final int[] numbers, final int index) {
    final List<Integer> kept = new ArrayList<>();
    for (int i = 0; i < numbers.length; i++) {
      if (i != index) {
        kept.add(numbers[i]);
      }
    }
    return kept.stream().mapToInt(number -> number).toArray();
  }

  @Test
  void shouldNotLoadMemoryThatWasCutShort() {
    start(SPLIT, 1);
    Fds.truncate(memory, MEMORY_BYTES / 2);
    final SessionFixture next = fixture.unloaded();
    final int[] copies = Arrays.stream(fixture.session.heldFds()).map(Fds::duplicate).toArray();
    final SessionException e =
        assertThrows(
            SessionException.class,
            () ->
                next.session.load(
                    fixture.session.version(),
                    fixture.session.record(),
                    fixture.session.heldSlots(),
                    copies));
    assertTrue(e.getMessage().contains("runs over the end of its file"), e.getMessage());
    Fds.truncate(memory, MEMORY_BYTES);
    next.close();
  }
}
