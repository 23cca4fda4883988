package io.virtnvme.chaos.sim;

import java.util.SplittableRandom;

/** A guest with an NVMe controller over vfio-user. */
final class NvmeMachine implements Machine {
  private final NvmeOracle oracle;
  private final SimNvmeGuest guest;
  private final SimNvmeFrontEnd frontEnd;

  NvmeMachine(final World world, final SplittableRandom guestRandom) {
    oracle = new NvmeOracle(world.disk());
    guest = new SimNvmeGuest(world, oracle, guestRandom);
    frontEnd = new SimNvmeFrontEnd(world, guest);
    guest.registers(frontEnd);
  }

  @Override
  public void stepGuest() {
    guest.step();
  }

  @Override
  public void stepFrontEnd() {
    frontEnd.step();
  }

  @Override
  public void want(final Fault.Kind kind) {
    guest.want(kind);
  }

  @Override
  public void hangUp() {
    frontEnd.hangUp();
  }

  @Override
  public void calm() {
    guest.calm();
  }

  @Override
  public boolean isDone() {
    return guest.isDone() && frontEnd.isSettled();
  }

  @Override
  public void onSubmit(
      final int slave, final int operation, final long offsetBytes, final long lengthBytes) {
    oracle.onSubmit(slave, operation, offsetBytes, lengthBytes);
  }

  @Override
  public void onIoError(final int operation, final long offsetBytes, final long lengthBytes) {
    oracle.onIoError(operation, offsetBytes, lengthBytes);
  }

  @Override
  public long postedCount() {
    return oracle.postedCount();
  }

  @Override
  public long completedCount() {
    return oracle.completedCount();
  }

  @Override
  public void checkEnd() {
    oracle.checkEnd();
    guest.checkEnd();
  }

  @Override
  public String outstanding() {
    return guest.outstanding() + " front-end settled=" + frontEnd.isSettled();
  }

  @Override
  public void close() {
    frontEnd.hangUp();
    guest.close();
  }
}
