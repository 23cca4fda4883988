package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.segment.DirtySegment;
import java.util.List;

/** Dirty tracking of a bdev in the words of our own calls, read and written. */
public final class DirtySpecs {
  /** Marks changes from now on. */
  public static final String START = "virtnvme_start_dirty_tracking";

  /** Marks them no more. */
  public static final String STOP = "virtnvme_stop_dirty_tracking";

  /** The parameters of {@link #START}. */
  public static final List<String> START_PARAMETERS = List.of("name", "grain_kib");

  /** The parameters of {@link #STOP}. */
  public static final List<String> STOP_PARAMETERS = List.of("name");

  private static final int KIB_SHIFT = 10;
  private static final int GRAIN_KIB_MIN = 1 << (DirtySegment.GRAIN_SHIFT_MIN - KIB_SHIFT);
  private static final int GRAIN_KIB_MAX = 1 << (DirtySegment.GRAIN_SHIFT_MAX - KIB_SHIFT);
  private static final int GRAIN_KIB = 64;

  private DirtySpecs() {}

  /**
   * Reads the grain of a call: a bit stands for 1 << this, bytes.
   *
   * @throws RpcException when it is out of range, or no power of two
   */
  public static int grainShift(final RpcParams params) {
    final int kib = params.optionalInt("grain_kib", GRAIN_KIB_MIN, GRAIN_KIB_MAX, GRAIN_KIB);
    if (Integer.bitCount(kib) != 1) {
      throw params.invalid(
          "grain_kib", "a power of two, " + GRAIN_KIB_MIN + " to " + GRAIN_KIB_MAX);
    }
    return Integer.numberOfTrailingZeros(kib) + KIB_SHIFT;
  }

  /** The grain as it is written. */
  public static int grainKib(final int grainShift) {
    return 1 << (grainShift - KIB_SHIFT);
  }

  /** The parameters of a call that starts it with this grain. */
  public static ObjectNode toParams(final String name, final int grainShift) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("name", name)
        .put("grain_kib", grainKib(grainShift));
  }
}
