"""The recurrence with its gradient, the chain rule through c_t, from programs for parts of the batch."""

import functools

import tensorflow as tf

from keras_lstm_gates.recurrence.arguments import Arguments
from keras_lstm_gates.recurrence.compiled.autodiff import differentiable, hide, known_zero, second_order_of
from keras_lstm_gates.recurrence.compiled.loops import Carry, History, recurrent_kernel_gradient
from keras_lstm_gates.recurrence.compiled.programs import Chunks, WholeSequence
from keras_lstm_gates.recurrence.compiled.rows import Batch, parts
from keras_lstm_gates.recurrence.portable import portable


def chain(arguments, outputs, last_only, chunked, training):
    """The `outputs` in order, (batch, time, units) each, or the last c and h; `recurrence` checks the arguments."""
    # TensorFlow's functions do not know a Keras variable, though it counts as a tensor: read it here.
    z, h0, c0, R = map(tf.convert_to_tensor, arguments[:4])
    batch = Batch(h0.shape[0], tf.shape(h0)[0])
    padded = batch.padded if isinstance(batch.padded, int) else None
    # One chain for each batch and units: within one only the number of steps may vary, and be relaxed to unknown by
    # `reduce_retracing`. A batch relaxed to unknown would be split where it should not.
    return _chain(outputs, last_only, chunked, training, padded, h0.shape[1])(
        batch, arguments._replace(z=z, h0=h0, c0=c0, R=R)
    )


@functools.lru_cache(maxsize=256)
def _chain(outputs, last_only, chunked, training, padded_batch, units):
    return _Chain(outputs, last_only, Chunks() if chunked else WholeSequence(), training)


class _Chain:
    def __init__(self, outputs, last_only, programs, training):
        self.outputs, self.last_only, self.programs = outputs, last_only, programs
        needed = {"a" if name in "ifgo" else name for name in outputs} if not last_only else set()
        self.stored = tuple(name for name in History._fields if training or name in needed)
        # As graphs, so that the parts run side by side in eager mode too.
        self._forward, self._backward, self._second_order_eagerly = (
            tf.function(function, autograph=False, reduce_retracing=True)
            for function in (self._forward, self._backward, self._second_order)
        )

    def __call__(self, batch, arguments):
        mask = None if arguments.mask is None else batch.pad(tf.transpose(arguments.mask), 1)
        dropout = batch.pad(arguments.dropout, 1)

        def written_out(z, h0, c0, R):
            time = tf.shape(z)[0]
            hidden = Arguments(
                batch.pad(hide(z), 1), batch.pad(hide(h0), 0), batch.pad(hide(c0), 0), hide(R), mask, dropout
            )
            values, histories = self._forward(hidden, self.stored)

            def slopes(*d_values):
                complete = histories if self.stored == History._fields else self._forward(hidden, History._fields)[1]
                d_used = {name: batch.pad(hide(d), 0) for name, d in zip(self.outputs, d_values) if not known_zero(d)}
                d_inputs = self._backward(hidden._replace(z=None), complete, d_used, time)
                cut = [batch.cut(d, axis) for d, axis in zip(d_inputs, (1, 0, 0))]
                # `_backward` is traced once for several shapes, and does not tell the sizes that are known here.
                return [tf.ensure_shape(d, value.shape) for d, value in zip([*cut, d_inputs[3]], (z, h0, c0, R))]

            return [batch.cut(value, 0) for value in values], slopes

        def second_order(inputs, d_values, d_slopes):
            # XLA, outside, does not compile it as a function of its own.
            function = self._second_order_eagerly if tf.executing_eagerly() else self._second_order
            return function(Arguments(*inputs, *arguments[4:]), d_values, d_slopes)

        return differentiable(written_out, second_order)(*arguments[:4])

    def _forward(self, arguments, stored):
        """The output values, and the `stored` histories of each part."""
        z, h0, c0, R, mask, dropout = arguments
        histories, last = [], []
        for rows in parts(h0):
            gates = () if mask is None else tf.zeros_like(z[0, rows])
            carry = Carry(c0[rows], h0[rows], gates)
            first = tf.constant(rows.start) if isinstance(rows.start, int) else rows.start
            history, carry = self.programs.forward(z, first, carry, R, *_of_rows(rows, mask, dropout), stored)
            histories.append(history)
            last.append(carry)
        if self.last_only:
            return [tf.concat(of_parts, 0) for of_parts in (list(zip(*last))[:2])], histories
        values, units = [], h0.shape[1]
        for name in self.outputs:
            begin = units * "ifgo".index(name) if name in "ifgo" else 0
            of_parts = [history[name if name in stored else "a"][: tf.shape(z)[0]] for history in histories]
            values.append(self.programs.batch_major(of_parts, begin, begin + units))
        return values, histories

    def _backward(self, arguments, histories, d_outputs, time):
        """dz, dh0, dc0 and dR, given the cotangents by name of the outputs, or of the last state."""
        _, h0, c0, R, mask, dropout = arguments
        d_last, d_outputs = (d_outputs, {}) if self.last_only else ({}, d_outputs)
        d_last = Carry(d_last.get("c", tf.zeros_like(c0)), d_last.get("h", tf.zeros_like(h0)))
        repeats = mask is not None and set("ifgo") & set(d_outputs)
        d_z, d_first, dR = [], [], []
        for rows, history in zip(parts(h0), histories):
            a, c, h = (history[name] for name in History._fields)
            own_mask, own_dropout = _of_rows(rows, mask, dropout)
            dz, d_carry = self.programs.backward(
                History(a, c, None),
                tf.concat([c0[rows][None], c[:-1]], 0),
                R,
                own_mask,
                own_dropout,
                {name: tf.transpose(value[rows], (1, 0, 2)) for name, value in d_outputs.items()},
                Carry(d_last.c[rows], d_last.h[rows], tf.zeros_like(a[0]) if repeats else ()),
                time,
            )
            d_z.append(dz)
            d_first.append(d_carry)
            dR.append(recurrent_kernel_gradient(tf.concat([h0[rows][None], h[:-1]], 0), dz, own_dropout))
        dc0, dh0 = (tf.concat([getattr(d_carry, name) for d_carry in d_first], 0) for name in "ch")
        return tf.concat(d_z, 1)[:time], dh0, dc0, tf.add_n(dR)

    def _second_order(self, arguments, d_values, d_slopes):
        """Of further orders, which are rare: those of the portable path."""

        def operations(*inputs):
            again = Arguments(*inputs, *arguments[4:])
            gates = portable(again, last_only=self.last_only, outputs=self.outputs)
            return [getattr(gates, name) for name in self.outputs]

        return second_order_of(operations, arguments[:4], d_values, d_slopes)


def _of_rows(rows, mask, dropout):
    return None if mask is None else mask[:, rows], None if dropout is None else dropout[:, rows]
