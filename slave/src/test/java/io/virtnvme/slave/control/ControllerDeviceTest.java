package io.virtnvme.slave.control;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.virtnvme.slave.nvme.SessionQueues;
import io.virtnvme.slave.vfio.NvmeMachine;
import io.virtnvme.slave.virtqueue.GuestMemory;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a session tells its controller's queues, however long the reactors take for it. */
class ControllerDeviceTest {
  private final List<Runnable> memoryEnds = new ArrayList<>();
  private int[] vectors;
  private int doneCount;

  private final ControllerDevice device =
      new ControllerDevice(
          new NvmeMachine(
              1,
              null,
              null,
              2,
              0,
              0,
              GuestMemory.of(List.of()),
              GuestMemory.of(List.of()),
              true,
              new int[2]),
          null,
          null,
          null,
          description -> List.of());

  /** Queues that take vectors at once, and let go of memory when the test says so. */
  private Object answer(final Object proxy, final Method method, final Object[] arguments) {
    switch (method.getName()) {
      case "memory" -> memoryEnds.add((Runnable) arguments[1]);
      case "vectors" -> {
        vectors = (int[]) arguments[0];
        ((Runnable) arguments[1]).run();
      }
      default -> throw new AssertionError("not to be called: " + method);
    }
    return null;
  }

  private void update(final int... vectorFds) {
    device.update(
        GuestMemory.of(List.of()), GuestMemory.of(List.of()), true, vectorFds, () -> doneCount++);
  }

  @Test
  void shouldKeepTheVectorsOfTheLastUpdateWhenTheOneBeforeEndsLate() {
    device.queues(
        (SessionQueues)
            Proxy.newProxyInstance(
                SessionQueues.class.getClassLoader(),
                new Class<?>[] {SessionQueues.class},
                this::answer));
    update(-1, -1);
    update(7, 8);
    assertEquals(0, doneCount, "memory is still in use");
    memoryEnds.get(1).run();
    memoryEnds.get(0).run();
    assertEquals(2, doneCount);
    assertArrayEquals(new int[] {7, 8}, vectors);
  }
}
