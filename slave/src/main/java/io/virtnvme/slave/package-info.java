/**
 * The restartable process that serves guests' I/O: {@link io.virtnvme.slave.SlaveMain} starts the
 * control thread, which starts one reactor thread per core. Read {@code SlaveMain}, {@code
 * reactor.SeatThread}, {@code reactor.Reactor}, {@code virtqueue.VirtqueueAgent}, in this order.
 */
package io.virtnvme.slave;
