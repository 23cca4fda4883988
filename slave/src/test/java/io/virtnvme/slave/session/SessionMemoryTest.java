package io.virtnvme.slave.session;

import static io.virtnvme.slave.session.SessionFixture.GUEST_BASE;
import static io.virtnvme.slave.session.SessionFixture.MEMORY_BYTES;
import static io.virtnvme.slave.session.SessionFixture.USER_BASE;
import static io.virtnvme.slave.session.SessionFixture.address;
import static io.virtnvme.slave.session.SessionFixture.bare;
import static io.virtnvme.slave.session.SessionFixture.eventFd;
import static io.virtnvme.slave.session.SessionFixture.log;
import static io.virtnvme.slave.session.SessionFixture.memfd;
import static io.virtnvme.slave.session.SessionFixture.memoryTable;
import static io.virtnvme.slave.session.SessionFixture.region;
import static io.virtnvme.slave.session.SessionFixture.u64;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What guest memory a session maps, and what rings notice when it changes. */
class SessionMemoryTest extends SessionTest {
  private static final long HUGE_PAGE_BYTES = 2 << 20;

  @Test
  void shouldKeepRingsRunningWhileMemoryIsAddedAndRemoved() {
    start(SPLIT, 2);
    final int more = memfd();
    fixture.host.deferred = true;
    fixture.post(
        region(
            VhostUserRequest.ADD_MEM_REG, 0x2_0000_0000L, 0x8000, USER_BASE + (1L << 30), 0x4000),
        more);
    assertEquals("update", fixture.host.calls.get(fixture.host.calls.size() - 1));
    fixture.host.runCallbacks();
    assertEquals(2, running(0).memory().regions().size());
    assertNotEquals(0, running(0).memory().translate(0x2_0000_7fffL, 1));
    fixture.post(
        region(VhostUserRequest.REM_MEM_REG, 0x2_0000_0000L, 0x8000, USER_BASE + (1L << 30), 0),
        more);
    // Until the reactor lets go, the mapping stays; assertUsable in the callback touches it.
    fixture.host.runCallbacks();
    assertEquals(1, running(0).memory().regions().size());
    assertEquals(List.of("start 0", "start 1", "update", "update"), fixture.host.calls);
    fixture.host.deferred = false;
    Fds.close(more);
  }

  @Test
  void shouldPauseARingWhileItsMemoryIsAway() {
    start(SPLIT, 1);
    fixture.host.bases.put(0, 9);
    fixture.ok(region(VhostUserRequest.REM_MEM_REG, GUEST_BASE, MEMORY_BYTES, USER_BASE, 0));
    assertTrue(fixture.host.running.isEmpty());
    fixture.ok(
        region(VhostUserRequest.ADD_MEM_REG, GUEST_BASE, MEMORY_BYTES, USER_BASE, 0), memory);
    assertEquals(9, running(0).base());
  }

  @Test
  void shouldMapUnalignedOffsetsAndSharedFiles() {
    negotiate(SPLIT);
    final long half = MEMORY_BYTES / 2;
    fixture.ok(
        memoryTable(
            0, half, USER_BASE, 0, 0x1_0000_0000L, half - 0x800, USER_BASE + half, half + 0x800),
        memory,
        memory);
    setUpRing(0);
    final QueueSetup setup = running(0);
    final long host = setup.memory().translate(0x1_0000_0000L, half - 0x800);
    Mem.putLong(host, 0x5555);
    final long scratch = Mem.allocate(8);
    assertEquals(8, Fds.pread(memory, scratch, 8, half + 0x800));
    assertEquals(0x5555, Mem.getLong(scratch));
    Mem.free(scratch);
    // The same table again, from new descriptors of the same file: nothing moves.
    fixture.ok(
        memoryTable(
            0, half, USER_BASE, 0, 0x1_0000_0000L, half - 0x800, USER_BASE + half, half + 0x800),
        memory,
        memory);
    assertSame(setup.memory(), running(0).memory());
    assertEquals(List.of("start 0"), fixture.host.calls);
  }

  @Test
  void shouldMapHugePages() throws IOException {
    assumeTrue(
        Files.readAllLines(Path.of("/proc/meminfo")).stream()
            .filter(line -> line.startsWith("HugePages_Free:"))
            .anyMatch(line -> Integer.parseInt(line.replaceAll("\\D", "")) >= 2),
        "the pool has no two free pages of 2 MiB");
    final int huge = Memfd.createHuge("guest", 2 * HUGE_PAGE_BYTES);
    negotiate(SPLIT);
    // Begins and ends in the middle of a page.
    fixture.ok(memoryTable(GUEST_BASE, HUGE_PAGE_BYTES, USER_BASE, HUGE_PAGE_BYTES / 2), huge);
    setUpRing(0);
    final long host = running(0).memory().translate(GUEST_BASE, HUGE_PAGE_BYTES);
    assertEquals(HUGE_PAGE_BYTES / 2, host & (HUGE_PAGE_BYTES - 1));
    Mem.putLong(host + HUGE_PAGE_BYTES - 8, 7);
    fixture.ok(memoryTable(new long[0]));
    Fds.close(huge);
  }

  @Test
  void shouldLogDirtyPagesOnTheFly() {
    start(SPLIT, 1);
    final int logFd = Memfd.create("log", 0x10000);
    final Answer answer = fixture.ok(log(0x8000, 0x100), logFd);
    assertEquals(0, VhostUserMessage.u64(answer.reply()));
    assertNull(running(0).log());
    fixture.ok(u64(VhostUserRequest.SET_FEATURES, LOGGED));
    running(0).log().mark(5 << 12, 1);
    final long scratch = Mem.allocate(1);
    assertEquals(1, Fds.pread(logFd, scratch, 1, 0x100));
    assertEquals(1 << 5, Mem.getByte(scratch));
    Mem.free(scratch);
    fixture.ok(address(0, 1, USER_BASE));
    assertEquals(0x5000, running(0).usedLogAddress());
    fixture.ok(u64(VhostUserRequest.SET_FEATURES, SPLIT));
    assertNull(running(0).log());
    assertEquals(List.of("start 0", "update", "stop 0", "start 0", "update"), fixture.host.calls);
    final int event = eventFd();
    fixture.ok(bare(VhostUserRequest.SET_LOG_FD), event);
    assertTrue(fixture.masterFds.containsKey(FdSlots.LOG_NOTIFY));
    Fds.close(event);
    Fds.close(logFd);
  }
}
